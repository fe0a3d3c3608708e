"""KA, stage two: DeepLabV3-R101 -> DeepLabV3-MobileNetV2, Cityscapes.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; weights 50 and 1, schedule as printed; it gives no
p and q, those here are torchdistill's, in another loss. Stage one (`stage_one` below)
comes first; its result is looked for in work_dirs. If it is elsewhere:
--cfg-options model.distiller.connectors.encoder.checkpoint=FILE_OR_FOLDER
Command: bash tools/dist_train.sh CONFIG 4
Expected: the paper reports 70.2 -> 72.7 mIoU (test) for a MobileNetV2 of stride 16
without ASPP, from another teacher; nothing is known for this pair.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-mnv2.py',
]
feature = 'decode_head.bottleneck'
adapter = dict(
    type='mmkd_ext.ConvAdapter',
    in_channels=512,
    out_channels=128,
    kernel_size=3,
    norm=True,
    act=True,
)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        connectors=dict(
            encoder=dict(
                type='mmkd_ext.KAEncoder',
                channels=512,
                widths=(256, 128, 128),
                strides=(2, 2, 2),
                teacher=_base_.model.teacher_ckpt,
                stage_one='configs/distill/mmseg/ka/ka-autoencoder_deeplabv3-r101_'
                'deeplabv3-mnv2_4xb4-186i_cityscapes-512x1024.py',
            )
        ),
        links=dict(
            loss_adapt=dict(
                loss=dict(type='mmkd_ext.KAAdaptLoss', p=1.0, q=2.0, loss_weight=50.0),
                preds_S=dict(of='student', at=feature, connector=adapter),
                preds_T=dict(of='teacher', at=feature, connector='encoder'),
            ),
            loss_affinity=dict(
                loss=dict(type='mmkd_ext.KAAffinityLoss', loss_weight=1.0),
                preds_S=dict(of='student', at=feature, connector=adapter),
                preds_T=dict(of='teacher', at=feature, connector='encoder'),
            ),
        ),
    )
)
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=0.007, weight_decay=4e-5))
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-4, power=0.9, end=90000, by_epoch=False)
]
train_cfg = dict(max_iters=90000)
