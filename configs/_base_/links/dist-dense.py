"""Links: DIST on the class scores of RetinaNet's head, a term a level."""

# the layer is shared by the levels: five calls, a map of 9 x 80 scores each
scores = dict(at='bbox_head.retina_cls', call=[0, 1, 2, 3, 4])
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_dist=dict(
            loss=dict(type='mmkd_ext.DISTLoss', activation='sigmoid'),
            preds_S=dict(of='student', **scores),
            preds_T=dict(of='teacher', **scores),
        )
    ),
)
