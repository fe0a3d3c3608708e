"""Links: CIRKD's four losses on SegFormer, first version, both heads 256 channels wide."""

logits, feature = 'decode_head.conv_seg', 'decode_head.fusion_conv'
student, teacher = dict(of='student', at=feature), dict(of='teacher', at=feature)
sides = dict(preds_S=dict(student, connector='projection'), preds_T=teacher)
truth = dict(of='batch', at='data_samples')
memory = dict(num_classes=19, channels=256, size=2000, tau=0.1, loss_weight=0.1)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    connectors=dict(
        projection=dict(
            type='mmkd_ext.CIRKDProjection', in_channels=256, out_channels=256
        )
    ),
    links=dict(
        loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        ),
        loss_batch=dict(
            loss=dict(type='mmkd_ext.CIRKDMiniBatchLoss', tau=0.1, pool=2),
            preds_S=student,
            preds_T=teacher,
        ),
        loss_pixel=dict(
            loss=dict(type='mmkd_ext.CIRKDPixelMemoryLoss', **memory),
            data_samples=truth,
            **sides,
        ),
        loss_region=dict(
            loss=dict(type='mmkd_ext.CIRKDRegionMemoryLoss', **memory),
            data_samples=truth,
            **sides,
        ),
    ),
)
