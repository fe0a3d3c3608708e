"""SKDS' holistic term: what its discriminator sees, on either pair of CamVid."""

adversary = dict(
    loss=dict(
        type='mmkd_ext.SKDSHolisticLoss',
        channels=11,
        conditional=True,
        discriminator_weight=1.0,
        loss_weight=0.001,
    ),
    preds_S=dict(of='student', at='decode_head.conv_seg'),
    preds_T=dict(of='teacher', at='decode_head.conv_seg'),
    inputs=dict(of='batch', at='inputs'),
)
