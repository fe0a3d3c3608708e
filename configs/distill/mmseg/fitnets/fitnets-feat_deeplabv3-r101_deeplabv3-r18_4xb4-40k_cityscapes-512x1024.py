"""FitNets on the feature before the classifier: DeepLabV3-R101 -> R18, Cityscapes.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015, https://arxiv.org/abs/1412.6550;
joint training, tap, weight 10, regressor and schedule as in CIRKD, with its KD of weight
1, which stands beside all that it compares. The regressor is a 1x1 convolution without
bias.
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
    loss_fitnets=dict(
        loss=dict(type='mmkd_ext.FitNetsLoss', loss_weight=10.0), **_base_.adapted
    ),
    loss_kd=_base_.kd,
)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
