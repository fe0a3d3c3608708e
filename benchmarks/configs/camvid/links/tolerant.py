"""The tolerant teacher's term: what is looked at, of either network of CamVid."""

links = dict(
    loss_tolerant=dict(
        loss=dict(type='mmkd_ext.TolerantTeacherLoss', k=5, loss_weight=0.4),
        preds_S=dict(of='student', at='decode_head.conv_seg'),
    )
)
