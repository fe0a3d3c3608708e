"""DIST on main and auxiliary logits: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; weight 1 on the main head, 0.4 on the auxiliary one,
which runs in training alone.
Command: bash tools/dist_train.sh CONFIG 4
Expected: the authors report 74.21 -> 77.10 mIoU (val) from a teacher of 78.07. Not
measured by us.
Status: unrun
"""

_base_ = './dist-logits_deeplabv3-r101_deeplabv3-r18_4xb4-40k_cityscapes-512x1024.py'
auxiliary = 'auxiliary_head.conv_seg'
model = dict(
    distiller=dict(
        links=dict(
            loss_dist_aux=dict(
                loss=dict(type='mmkd_ext.DISTLoss', tau=1.0, loss_weight=0.4),
                preds_S=dict(of='student', at=auxiliary),
                preds_T=dict(of='teacher', at=auxiliary),
            )
        )
    )
)
