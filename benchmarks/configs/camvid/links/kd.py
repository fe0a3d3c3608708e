"""KD of pixels: what is compared, on either pair of CamVid."""

logits = 'decode_head.conv_seg'
links = dict(
    loss_kd=dict(
        loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
        preds_S=dict(of='student', at=logits),
        preds_T=dict(of='teacher', at=logits),
    ),
)
