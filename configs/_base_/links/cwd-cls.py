"""Links: CWD on the class scores of GFL's head, a term a level."""

# the layer is shared by the levels: five calls, a map of the classes each
scores = dict(at='bbox_head.gfl_cls', call=[0, 1, 2, 3, 4])
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_cwd=dict(
            loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=5.0),
            preds_S=dict(of='student', **scores),
            preds_T=dict(of='teacher', **scores),
        )
    ),
)
