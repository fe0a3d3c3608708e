"""Links: SKDS' pixel and pair-wise terms."""

logits, feature = 'decode_head.conv_seg', 'decode_head.bottleneck'
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_pixel=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=80.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        ),
        loss_pair=dict(
            loss=dict(type='mmkd_ext.SKDSPairwiseLoss', scale=0.5, loss_weight=0.5),
            preds_S=dict(of='student', at=feature),
            preds_T=dict(of='teacher', at=feature),
        ),
    ),
)
