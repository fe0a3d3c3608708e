"""CWD on the logits: what is compared, on either pair of CamVid."""

logits = 'decode_head.conv_seg'
links = dict(
    loss_cwd=dict(
        loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0),
        preds_S=dict(of='student', at=logits),
        preds_T=dict(of='teacher', at=logits),
    ),
)
