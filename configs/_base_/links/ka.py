"""Links: KA's stage two; a MobileNetV2 student, whose head is 512 channels wide.

`connectors.encoder.teacher` is the teacher's checkpoint, which the pair says.
"""

feature = 'decode_head.bottleneck'
adapter = dict(
    type='mmkd_ext.ConvAdapter',
    in_channels=512,
    out_channels=128,
    kernel_size=3,
    norm=True,
    act=True,
)
sides = dict(
    preds_S=dict(of='student', at=feature, connector=adapter),
    preds_T=dict(of='teacher', at=feature, connector='encoder'),
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    connectors=dict(
        encoder=dict(
            type='mmkd_ext.KAEncoder',
            channels=512,
            widths=(256, 128, 128),
            strides=(2, 2, 2),
            stage_one='configs/distill/mmseg/ka/ka-autoencoder_deeplabv3-r101_'
            'deeplabv3-mnv2_4xb4-186i_cityscapes-512x1024.py',
        )
    ),
    links=dict(
        loss_adapt=dict(
            loss=dict(type='mmkd_ext.KAAdaptLoss', p=1.0, q=2.0, loss_weight=50.0),
            **sides,
        ),
        loss_affinity=dict(
            loss=dict(type='mmkd_ext.KAAffinityLoss', loss_weight=1.0), **sides
        ),
    ),
)
