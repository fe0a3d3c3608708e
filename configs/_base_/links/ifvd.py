"""Links: IFVD on the feature before the classifier, and KD of pixels, 19 classes."""

logits, feature = 'decode_head.conv_seg', 'decode_head.bottleneck'
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_pixel=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=10 / 19),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        ),
        loss_ifvd=dict(
            loss=dict(type='mmkd_ext.IFVDLoss', num_classes=19, loss_weight=200.0),
            preds_S=dict(of='student', at=feature),
            preds_T=dict(of='teacher', at=feature),
            data_samples=dict(of='batch', at='data_samples'),
        ),
    ),
)
