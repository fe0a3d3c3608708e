"""Links: CWD on the logits."""

logits = 'decode_head.conv_seg'
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_cwd=dict(
            loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        )
    ),
)
