"""Links: CRD of the pooled features of a classifier; samples as CIFAR has."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_crd=dict(
            loss=dict(
                type='mmkd_ext.CRDLoss',
                samples=50000,
                student_channels=256,
                teacher_channels=256,
                negatives=16384,
                loss_weight=0.8,
            ),
            preds_S=dict(of='student', at='neck', item=-1),
            preds_T=dict(of='teacher', at='neck', item=-1),
            indices=dict(of='batch', at='data_samples'),
        )
    ),
)
