"""Links: SKDS' three terms, 19 classes.

The discriminator has an optimizer of its own: `optim_wrapper = _base_.adversarial`.
"""

logits, feature = 'decode_head.conv_seg', 'decode_head.bottleneck'
adversarial = dict(
    constructor='mmkd_ext.AdversarialOptimWrapperConstructor',
    discriminator=dict(
        optimizer=dict(type='SGD', lr=4e-4, momentum=0.9, weight_decay=5e-4)
    ),
)
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
        loss_holistic=dict(
            loss=dict(
                type='mmkd_ext.SKDSHolisticLoss',
                channels=19,
                discriminator_weight=0.1,
                loss_weight=0.1,
            ),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        ),
    ),
)
