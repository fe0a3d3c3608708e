"""DIST on the logits: what is compared, on either pair of CamVid."""

logits = 'decode_head.conv_seg'
links = dict(
    loss_dist=dict(
        loss=dict(type='mmkd_ext.DISTLoss', tau=1.0, loss_weight=1.0),
        preds_S=dict(of='student', at=logits),
        preds_T=dict(of='teacher', at=logits),
    ),
)
