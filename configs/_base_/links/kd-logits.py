"""Links: KD of pixels."""

logits = 'decode_head.conv_seg'
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        )
    ),
)
