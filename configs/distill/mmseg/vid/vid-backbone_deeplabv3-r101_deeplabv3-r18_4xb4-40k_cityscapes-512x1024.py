"""VID of the last stage, with KD: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Variational Information Distillation for Knowledge Transfer, CVPR 2019,
https://arxiv.org/abs/1904.05835; weight 1, variance and regressor of RepDistiller,
schedule and KD of weight 1 of CIRKD's comparison. The paper has no segmentation.
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
regressor = dict(type='mmkd_ext.VIDRegressor', in_channels=512, channels=2048)
vid = dict(
    loss=dict(type='mmkd_ext.VIDLoss', channels=2048, loss_weight=1.0),
    preds_S=dict(of='student', at='backbone', item=3, connector=regressor),
    preds_T=dict(of='teacher', at='backbone', item=3),
)
links = dict(loss_vid=vid, loss_kd=_base_.kd)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
