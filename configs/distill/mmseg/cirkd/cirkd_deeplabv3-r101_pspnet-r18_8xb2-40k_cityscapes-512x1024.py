"""CIRKD on 8 GPUs, as published: DeepLabV3-R101 -> PSPNet-R18, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; as `4xb4`, and relations in the batch among the
2 images of a GPU as in the authors' first version.
Command: bash tools/dist_train.sh CONFIG 8
Expected: the authors report 72.55 -> 74.73 mIoU (val) from a teacher of 78.07. Not
measured by us.
Status: unrun
"""

_base_ = './cirkd_deeplabv3-r101_pspnet-r18_4xb4-40k_cityscapes-512x1024.py'
train_dataloader = dict(batch_size=2)
