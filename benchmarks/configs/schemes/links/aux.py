"""Links: the auxiliary head follows the main one; the head that does."""

auxiliary_head = dict(
    type='mmseg.FCNHead',
    in_channels=16,
    in_index=3,
    channels=16,
    num_convs=1,
    num_classes=11,
    norm_cfg=dict(type='BN', requires_grad=True),
    align_corners=False,
    loss_decode=dict(type='mmseg.CrossEntropyLoss', loss_weight=0.4),
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_aux=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=0.4),
            preds_S=dict(of='student', at='auxiliary_head.conv_seg'),
            preds_T=dict(of='student', at='decode_head.conv_seg'),
        )
    ),
)
