"""AFD of the four stages, with KD: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Show, Attend and Distill, AAAI 2021, https://arxiv.org/abs/2102.02973; width 128
and weight 200 of CIFAR, schedule and KD of weight 1 of CIRKD's comparison. The paper has
no segmentation.
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
student, teacher = (64, 128, 256, 512), (256, 512, 1024, 2048)
channels = dict(student_channels=student, teacher_channels=teacher)
afd = dict(
    loss=dict(type='mmkd_ext.AFDLoss', width=128, loss_weight=200.0, **channels),
    preds_S=dict(of='student', at='backbone'),
    preds_T=dict(of='teacher', at='backbone'),
)
links = dict(loss_afd=afd, loss_kd=_base_.kd)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
