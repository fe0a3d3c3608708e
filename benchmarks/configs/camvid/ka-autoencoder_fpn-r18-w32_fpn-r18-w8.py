"""KA, stage one: FPN on ResNet-18 on CamVid.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; one epoch, lr 0.1, alpha 1e-7 as published. The student
takes no part.
Command: python tools/train.py benchmarks/configs/camvid/ka-autoencoder_fpn-r18-w32_fpn-r18-w8.py
Expected: its loss falls from 0.81 to 0.33 in its one epoch (seed 0, 2 CPU
cores; with a teacher of 1,500 iterations).
Status: measured
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/ka.py']
feature = dict(of='teacher', at=_base_.feature.at)
model = dict(
    student_trainable=False,
    calculate_student_loss=False,
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_ka=dict(
                loss=dict(
                    type='mmkd_ext.KAReconstructionLoss',
                    **_base_.code,
                    teacher=_base_.model.teacher_ckpt,
                    alpha=1e-7,
                ),
                preds_S=feature,
                preds_T=feature,
            )
        ),
    ),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4)
)
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, end=76, by_epoch=False)]
train_cfg = dict(max_iters=76)
val_cfg = val_dataloader = val_evaluator = None
default_hooks = dict(
    checkpoint=dict(interval=76, save_best=None, student_file=False),
    logger=dict(interval=10),
)
