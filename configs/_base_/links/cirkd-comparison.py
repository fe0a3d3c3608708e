"""Links: what CIRKD has beside the methods that it compares, 19 classes.

Pixel-wise KD of weight 1 beside all of them, and beside SKDS, IFVD and CWD a hinge
adversary of weight 0.001, whose discriminator has an optimizer of its own: `optim_wrapper
= _base_.adversarial`. Parts to put together, because each method has others: sides on the
logits, on the feature before the classifier, and on that of a student of 128 channels
brought to 512.
"""

logits, feature = 'decode_head.conv_seg', 'decode_head.bottleneck'
adapter = dict(
    type='mmkd_ext.ConvAdapter', in_channels=128, out_channels=512, bias=False
)
beside = dict(
    preds_S=dict(of='student', at=logits), preds_T=dict(of='teacher', at=logits)
)
features = dict(
    preds_S=dict(of='student', at=feature), preds_T=dict(of='teacher', at=feature)
)
adapted = dict(
    preds_S=dict(of='student', at=feature, connector=adapter),
    preds_T=dict(of='teacher', at=feature),
)
cwd = dict(loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0), **beside)
cwd_feat = dict(
    loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=50.0), **adapted
)
kd = dict(loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0), **beside)
adversary = dict(
    loss=dict(
        type='mmkd_ext.SKDSHolisticLoss',
        channels=19,
        discriminator_weight=0.1,
        loss_weight=0.001,
    ),
    **beside,
)
adversarial = dict(
    constructor='mmkd_ext.AdversarialOptimWrapperConstructor',
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.99))),
)
