"""CIRKD, second version: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; terms, weights and schedule of the second version
of the authors' code, which has 8 GPUs with one image each.
Command: bash tools/dist_train.sh CONFIG 8
Expected: the authors report 73.56 -> 75.60 mIoU (test) from a teacher of 78.30. Not
measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/cirkd-v2.py',
]
model = dict(distiller=_base_.distiller)
# as the authors' projections and context have it
sync_bn = 'torch'
