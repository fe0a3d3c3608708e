"""ReviewKD on the four backbone stages: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 1 and 512 channels in the middle, as its
ResNet18 on ImageNet. It has no semantic segmentation: this use and the warm-up are ours.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure is known to us. CIRKD's authors report 74.21 mIoU (val) for
the student alone at this schedule.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/reviewkd-backbone.py',
]
model = dict(distiller=_base_.distiller)
