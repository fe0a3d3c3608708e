"""CIRKD: what its first version compares; channels as in the pair of CNNs."""

logits = 'decode_head.conv_seg'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
projected = dict(of='student', **feature, connector='projection')
taught = dict(of='teacher', **feature)
memory = dict(num_classes=11, channels=32, tau=0.1, loss_weight=0.1)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    connectors=dict(
        projection=dict(type='mmkd_ext.CIRKDProjection', in_channels=8, out_channels=32)
    ),
    links=dict(
        loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        ),
        loss_batch=dict(
            loss=dict(type='mmkd_ext.CIRKDMiniBatchLoss', tau=0.1),
            preds_S=dict(of='student', **feature),
            preds_T=dict(of='teacher', **feature),
        ),
        loss_pixel=dict(
            loss=dict(
                type='mmkd_ext.CIRKDPixelMemoryLoss', size=500, samples=100, **memory
            ),
            preds_S=projected,
            preds_T=taught,
            data_samples=dict(of='batch', at='data_samples'),
        ),
        loss_region=dict(
            loss=dict(type='mmkd_ext.CIRKDRegionMemoryLoss', size=100, **memory),
            preds_S=projected,
            preds_T=taught,
            data_samples=dict(of='batch', at='data_samples'),
        ),
    ),
)
