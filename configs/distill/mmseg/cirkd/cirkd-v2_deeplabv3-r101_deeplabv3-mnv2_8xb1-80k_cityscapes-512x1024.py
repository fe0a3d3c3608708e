"""CIRKD, second version: DeepLabV3-R101 -> DeepLabV3-MobileNetV2, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; terms, weights and schedule of the second version
of the authors' code, which has no script for this student.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no figure for this pair is known to us; the first version reached 75.42 mIoU
(val).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-mnv2.py',
    '../../../_base_/links/cirkd-v2.py',
]
_base_.distiller.connectors.heads.in_channels = 512
model = dict(distiller=_base_.distiller)
# as the authors' projections and context have it
sync_bn = 'torch'
