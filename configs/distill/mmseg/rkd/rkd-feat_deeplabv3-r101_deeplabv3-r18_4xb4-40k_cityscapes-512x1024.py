"""RKD of 16 regions a picture, with KD: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Relational Knowledge Distillation, CVPR 2019, https://arxiv.org/abs/1904.05068;
weights 25 and 50 of RepDistiller for classifiers, schedule and KD of weight 1 of CIRKD's
comparison. The paper has no segmentation: regions and their number are ours.
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
distance = dict(type='mmkd_ext.RKDDistanceLoss', regions=4, loss_weight=25.0)
angle = dict(type='mmkd_ext.RKDAngleLoss', regions=4, loss_weight=50.0)
links = dict(
    loss_distance=dict(loss=distance, **_base_.features),
    loss_angle=dict(loss=angle, **_base_.features),
    loss_kd=_base_.kd,
)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
