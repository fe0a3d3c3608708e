"""IFVD: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Intra-class Feature Variation Distillation for Semantic Segmentation, ECCV 2020,
https://www.ecva.net/papers/eccv_2020/papers_ECCV/papers/123520341.pdf; weight 20,
schedule, KD and adversary beside it as CIRKD compares it.
Command: bash tools/dist_train.sh CONFIG 4
Expected: CIRKD's authors measured 74.21 -> 75.59 mIoU (val) for IFVD from a teacher of
78.07. Not measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/cirkd-comparison.py',
]
ifvd = dict(type='mmkd_ext.IFVDLoss', num_classes=19, loss_weight=20.0)
truth = dict(of='batch', at='data_samples')
links = dict(
    loss_ifvd=dict(loss=ifvd, data_samples=truth, **_base_.features),
    loss_kd=_base_.kd,
    loss_adversary=_base_.adversary,
)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
optim_wrapper = _base_.adversarial
