"""Links: SimKD of a classifier whose head is a `SimKDHead`."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_simkd=dict(
            loss=dict(type='mmkd_ext.SimKDLoss', loss_weight=1.0),
            preds_S=dict(of='student', at='head.fc.projector'),
            preds_T=dict(of='teacher', at='backbone', item=-1),
            deployed=dict(
                of='student', at=dict(type='Module', source='head.fc.classifier')
            ),
            classifier=dict(of='teacher', at=dict(type='Module', source='head.fc')),
        )
    ),
)
