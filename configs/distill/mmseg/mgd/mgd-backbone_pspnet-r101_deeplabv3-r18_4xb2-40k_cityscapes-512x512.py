"""MGD, a student of another family: PSPNet-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529;
weights of the parent, whose logits term is here, too.
Command: bash tools/dist_train.sh CONFIG 4
Expected: the authors report 73.20 -> 76.31 mIoU (val). Not measured by us.
Status: unrun
"""

_base_ = './mgd-backbone_pspnet-r101_pspnet-r18_4xb2-40k_cityscapes-512x512.py'
model = dict(
    architecture=dict(
        cfg_path='mmseg::deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    )
)
