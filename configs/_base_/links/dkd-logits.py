"""Links: DKD of every labelled pixel."""

logits = 'decode_head.conv_seg'
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_dkd=dict(
            loss=dict(type='mmkd_ext.DKDPixelLoss', alpha=1.0, beta=0.25, tau=1.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
            data_samples=dict(of='batch', at='data_samples'),
        )
    ),
)
