"""DKD of every labelled pixel: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679;
alpha 1, beta 0.25 and tau 1 of its detection part. It has no segmentation: this use is
ours.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure is known to us. CIRKD's authors report 74.21 mIoU (val) for
the student alone at this schedule.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/dkd-logits.py',
]
model = dict(distiller=_base_.distiller)
