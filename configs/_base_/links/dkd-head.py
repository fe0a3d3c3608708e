"""Links: DKD of a classifier, with the labels that its own loss takes."""

labels = dict(type='ModuleInputs', source='head.loss_module')
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_dkd=dict(
            loss=dict(type='mmkd_ext.DKDLoss', alpha=1.0, beta=2.0, tau=4.0),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
            labels=dict(of='student', at=labels, item=1),
        )
    ),
)
