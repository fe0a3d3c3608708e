"""Links: the tolerant teacher's term, on a classifier that is to become a teacher."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_tolerant=dict(
            loss=dict(type='mmkd_ext.TolerantTeacherLoss', k=5, loss_weight=0.4),
            preds_S=dict(of='student', at='head'),
        )
    ),
)
