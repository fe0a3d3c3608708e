"""SemCKD of the first two stages, with KD: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Cross-Layer Distillation with Semantic Calibration, AAAI 2021,
https://arxiv.org/abs/2012.03236; weight 50 of ImageNet, schedule and KD of weight 1 of
CIRKD's comparison. The paper has no segmentation; of the last stages, a projector alone
would have 161 million parameters.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure is known to us. CIRKD's authors report 74.21 mIoU (val) for
the student alone at this schedule.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/cirkd-comparison.py',
]
channels = dict(student_channels=(64, 128), teacher_channels=(256, 512))
semckd = dict(
    loss=dict(type='mmkd_ext.SemCKDLoss', batch_size=4, loss_weight=50.0, **channels),
    preds_S=dict(of='student', at='backbone', item=[0, 1]),
    preds_T=dict(of='teacher', at='backbone', item=[0, 1]),
)
links = dict(loss_semckd=semckd, loss_kd=_base_.kd)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
