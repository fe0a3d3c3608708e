"""CIRKD on 8 GPUs, as published: DeepLabV3-R101 -> DeepLabV3-MobileNetV2, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; as `4xb4`, and relations in the batch among the
2 images of a GPU as in the authors' first version.
Command: bash tools/dist_train.sh CONFIG 8
Expected: the authors report 73.12 -> 75.42 mIoU (val) from a teacher of 78.07. Not
measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-mnv2.py',
    '../../../_base_/links/cirkd.py',
]
_base_.distiller.connectors.projection.in_channels = 512
model = dict(distiller=_base_.distiller)
train_dataloader = dict(batch_size=2)
