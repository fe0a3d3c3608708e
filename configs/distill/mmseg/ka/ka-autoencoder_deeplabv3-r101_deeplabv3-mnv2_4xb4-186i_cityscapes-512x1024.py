"""KA, stage one: an auto-encoder of the features of DeepLabV3-R101, Cityscapes.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; one epoch, lr 0.1, weight decay 1e-4 and alpha 1e-7
(printed as "10e-4" and "10e-7"). Three strided convolutions; their widths are ours.
Nothing of the student is trained or evaluated; the next stage reads the checkpoint.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no reconstruction error is published.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-mnv2.py',
]
feature = dict(of='teacher', at='decode_head.bottleneck')
model = dict(
    student_trainable=False,
    calculate_student_loss=False,
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_ka=dict(
                loss=dict(
                    type='mmkd_ext.KAReconstructionLoss',
                    channels=512,
                    widths=(256, 128, 128),
                    strides=(2, 2, 2),
                    teacher=_base_.model.teacher_ckpt,
                    alpha=1e-7,
                ),
                preds_S=feature,
                preds_T=feature,
            )
        ),
    ),
)
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=1e-4))
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, end=186, by_epoch=False)]
train_cfg = dict(max_iters=186)
val_cfg = val_dataloader = val_evaluator = None
default_hooks = dict(
    checkpoint=dict(interval=186, save_best=None, student_file=False),
    logger=dict(interval=10),
)
