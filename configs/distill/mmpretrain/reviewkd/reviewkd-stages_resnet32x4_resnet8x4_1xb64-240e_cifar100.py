"""ReviewKD on the stages: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; the weight 5 is theirs for WRN, that of this pair is
not known to us; warmed up over 20 epochs, as the authors do.
Command: python tools/train.py CONFIG
Expected: 75.63 % top-1 from 72.50 (in the table of Logit Standardization in Knowledge
Distillation, CVPR 2024).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/reviewkd-stages.py',
]
_base_.distiller.links.loss_reviewkd.loss.loss_weight = 5.0
_base_.distiller.links.loss_reviewkd.preds_S.connector.update(
    in_channels=(64, 128, 256), mid_channels=256, channels=(64, 128, 256)
)
model = dict(distiller=_base_.distiller)
