"""Links: DIST on the logits of the main and of the auxiliary head."""

logits, auxiliary = 'decode_head.conv_seg', 'auxiliary_head.conv_seg'
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_dist=dict(
            loss=dict(type='mmkd_ext.DISTLoss', tau=1.0, loss_weight=1.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        ),
        loss_dist_aux=dict(
            loss=dict(type='mmkd_ext.DISTLoss', tau=1.0, loss_weight=0.4),
            preds_S=dict(of='student', at=auxiliary),
            preds_T=dict(of='teacher', at=auxiliary),
        ),
    ),
)
