"""AT on the features before the classifier: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Paying More Attention to Attention, ICLR 2017, https://arxiv.org/abs/1612.03928;
weight 10000, schedule and KD beside it as in CIRKD's script for AT.
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
links = dict(
    loss_at=dict(
        loss=dict(type='mmkd_ext.ATLoss', p=2.0, loss_weight=1e4), **_base_.features
    ),
    loss_kd=_base_.kd,
)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
