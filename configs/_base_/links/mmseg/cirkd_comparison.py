"""Links: what CIRKD has beside the methods that it compares, 19 classes.

Pixel-wise KD of weight 1 beside all of them, and beside SKDS, IFVD and CWD a hinge
adversary of weight 0.001, whose discriminator has an optimizer of its own.
"""

logits = 'decode_head.conv_seg'
beside = dict(
    preds_S=dict(of='student', at=logits), preds_T=dict(of='teacher', at=logits)
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
