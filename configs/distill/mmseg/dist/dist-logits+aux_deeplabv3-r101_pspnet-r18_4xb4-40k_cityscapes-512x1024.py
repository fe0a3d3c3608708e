"""DIST on main and auxiliary logits: DeepLabV3-R101 -> PSPNet-R18, Cityscapes.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; weight 1 on the main head, 0.4 on the auxiliary one.
Command: bash tools/dist_train.sh CONFIG 4
Expected: the authors report 72.55 -> 76.31 mIoU (val) from a teacher of 78.07. Not
measured by us.
Status: unrun
"""

_base_ = (
    './dist-logits+aux_deeplabv3-r101_deeplabv3-r18_4xb4-40k_cityscapes-512x1024.py'
)
model = dict(
    architecture=dict(
        cfg_path='mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    )
)
