"""ReviewKD on the stages: ResNet-34 -> ResNet-18, ImageNet.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 1 and 512 channels in the middle, as the
authors; without warm-up, and after the activation of the stages, where mmpretrain gives
them.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 71.61 % top-1 from 69.75 (the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/reviewkd-stages.py',
]
_base_.distiller.links.loss_reviewkd.update(schedule=None)
_base_.distiller.links.loss_reviewkd.preds_S.at = 'backbone'
_base_.distiller.links.loss_reviewkd.preds_T.at = 'backbone'
_base_.distiller.links.loss_reviewkd.preds_S.connector.update(
    levels=4, in_channels=(64, 128, 256, 512), mid_channels=512,
    channels=(64, 128, 256, 512),
)
model = dict(distiller=_base_.distiller)
