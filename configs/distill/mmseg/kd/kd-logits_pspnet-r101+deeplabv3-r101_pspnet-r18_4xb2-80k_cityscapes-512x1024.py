"""Pixel-wise KD from two teachers: PSPNet-R101 and DeepLabV3-R101 -> PSPNet-R18.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1 and, together, weight 1. That there are two, and
that each weighs one half, is ours. Cityscapes.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure for these teachers is known to us.
Status: unrun
"""

_base_ = './kd-logits_pspnet-r101_pspnet-r18_4xb2-80k_cityscapes-512x1024.py'
model = dict(
    teacher=None,
    teacher_ckpt=None,
    teachers=dict(
        pspnet=dict(
            model=_base_.model.teacher, ckpt=_base_.model.teacher_ckpt, weight=0.5
        ),
        deeplabv3=dict(
            model=dict(
                cfg_path='mmseg::deeplabv3/'
                'deeplabv3_r101-d8_4xb2-80k_cityscapes-512x1024.py'
            ),
            ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/'
            'deeplabv3_r101-d8_512x1024_80k_cityscapes/'
            'deeplabv3_r101-d8_512x1024_80k_cityscapes_20200606_113503-9e428899.pth',
            weight=0.5,
        ),
    ),
    distiller=dict(
        links=dict(
            loss_kd=dict(preds_T=dict(of='pspnet')),
            loss_kd_deeplabv3=dict(
                loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
                preds_S=dict(of='student', at=_base_.logits),
                preds_T=dict(of='deeplabv3', at=_base_.logits),
            ),
        )
    ),
)
