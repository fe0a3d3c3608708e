"""Links: CIRKD, second version, for a head of 128 channels from one of 512, 19 classes.

A student of another width says it in `connectors.heads`.
"""

logits, feature = 'decode_head.conv_seg', 'decode_head.bottleneck'
taught = dict(of='teacher', at=feature)
truth = dict(of='batch', at='data_samples')
memory = dict(num_classes=19, channels=512, tau=0.1, loss_weight=0.1)
refined, regressed, projected, channels = (
    dict(of='student', at=feature, connector='heads', connector_item=item)
    for item in range(4)
)
sides = dict(preds_S=channels, preds_T=dict(taught, connector='pool'))
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    connectors=dict(
        heads=dict(
            type='mmkd_ext.CIRKDHeads', in_channels=128, out_channels=512, window=4
        ),
        pool=dict(type='mmkd_ext.CIRKDPool', window=4),
    ),
    links=dict(
        loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        ),
        loss_batch=dict(
            loss=dict(type='mmkd_ext.CIRKDMiniBatchLoss', tau=0.1),
            preds_S=refined,
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
        loss_fitnets=dict(
            loss=dict(type='mmkd_ext.FitNetsLoss', loss_weight=1.0),
            preds_S=regressed,
            preds_T=taught,
        ),
        loss_channel=dict(
            loss=dict(type='mmkd_ext.CIRKDChannelLoss', tau=0.1, loss_weight=1.0),
            **sides,
        ),
        loss_channel_memory=dict(
            loss=dict(
                type='mmkd_ext.CIRKDChannelMemoryLoss',
                map_size=(16, 32),
                size=10000,
                samples=2048,
                new_keys=256,
                tau=0.1,
                loss_weight=0.1,
            ),
            **sides,
        ),
        loss_channel_error=dict(
            loss=dict(type='mmkd_ext.CIRKDChannelErrorLoss', loss_weight=100.0),
            **sides,
        ),
    ),
)
