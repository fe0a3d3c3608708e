"""CIRKD: SegFormer-B4 -> SegFormer-B0, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; weights, memories and schedule of the authors'
script for SegFormer, their mistake in what the pixel memory keeps left out. With one
image on a GPU, relations in the batch are those of an image to itself, as there.
Command: bash tools/dist_train.sh CONFIG 8
Expected: the authors report 75.58 -> 76.92 mIoU from a teacher of 81.23. Not measured
by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-1024x1024_160k-cirkd.py',
    '../../../_base_/pairs/mmseg/segformer-b4_segformer-b0.py',
    '../../../_base_/links/cirkd-segformer.py',
]
model = dict(distiller=_base_.distiller)
