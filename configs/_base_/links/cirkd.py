"""Links: CIRKD's four losses, first version, for a head of 128 channels from one of 512.

A student of another width says it in the projection, another data set its classes in
both memories.
"""

logits, feature = 'decode_head.conv_seg', 'decode_head.bottleneck'
projected = dict(of='student', at=feature, connector='projection')
taught = dict(of='teacher', at=feature)
truth = dict(of='batch', at='data_samples')
memory = dict(num_classes=19, channels=512, tau=0.1, loss_weight=0.1)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    connectors=dict(
        projection=dict(
            type='mmkd_ext.CIRKDProjection', in_channels=128, out_channels=512
        )
    ),
    links=dict(
        loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        ),
        loss_batch=dict(
            loss=dict(type='mmkd_ext.CIRKDMiniBatchLoss', tau=0.1),
            preds_S=dict(of='student', at=feature),
            preds_T=taught,
        ),
        loss_pixel=dict(
            loss=dict(type='mmkd_ext.CIRKDPixelMemoryLoss', size=20000, **memory),
            preds_S=projected,
            preds_T=taught,
            data_samples=truth,
        ),
        loss_region=dict(
            loss=dict(type='mmkd_ext.CIRKDRegionMemoryLoss', size=2000, **memory),
            preds_S=projected,
            preds_T=taught,
            data_samples=truth,
        ),
    ),
)
