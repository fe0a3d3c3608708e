"""ReviewKD on the stages: WRN-40-2 -> WRN-16-2, CIFAR-100.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 5, warmed up over 20 epochs, as the authors do.
Command: python tools/train.py CONFIG
Expected: no figure of this pair is known to us; KD 74.92 % top-1 from 73.26
(RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/wrn-40-2_wrn-16-2.py',
    '../../../_base_/links/reviewkd-stages.py',
]
_base_.distiller.links.loss_reviewkd.loss.loss_weight = 5.0
_base_.distiller.links.loss_reviewkd.preds_S.connector.update(
    in_channels=(32, 64, 128), mid_channels=128, channels=(32, 64, 128)
)
model = dict(distiller=_base_.distiller)
