"""MLLD: what is compared, on either pair of CamVid."""

logits = 'decode_head.conv_seg'
links = dict(
    loss_mlld=dict(
        loss=dict(type='mmkd_ext.MLLDLoss', loss_weight=0.9),
        preds_S=dict(of='student', at=logits),
        preds_T=dict(of='teacher', at=logits),
    )
)
