"""CIRKD: DeepLabV3-R101 -> DeepLabV3-MobileNetV2, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; weights, sizes and schedule of the authors'
first version, their mistake in what the pixel memory keeps left out. Relations in the
batch are among 4 images here and 2 there, as in `8xb2`.
Command: bash tools/dist_train.sh CONFIG 4
Expected: the authors report 73.12 -> 75.42 mIoU (val) from a teacher of 78.07, with
`8xb2`. Not measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-mnv2.py',
    '../../../_base_/links/cirkd.py',
]
_base_.distiller.connectors.projection.in_channels = 512
model = dict(distiller=_base_.distiller)
