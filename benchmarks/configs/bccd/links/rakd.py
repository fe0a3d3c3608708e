"""Across resolution: what is compared, for a student of half the teacher's size.

Level `l` of the student's neck and `l + 1` of the teacher's have the same cells, and
answer for objects of the same share of the picture.
"""

neck = dict(
    preds_S=dict(of='student', at='neck', item=[0, 1, 2, 3]),
    preds_T=dict(of='teacher', at='neck', item=[1, 2, 3, 4]),
)
# the layer is shared by the levels: five calls, a map of the classes each
scores = dict(
    preds_S=dict(of='student', at='bbox_head.gfl_cls', call=[0, 1, 2, 3]),
    preds_T=dict(of='teacher', at='bbox_head.gfl_cls', call=[1, 2, 3, 4]),
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_feature=dict(loss=dict(type='mmkd_ext.PKDLoss', loss_weight=10.0), **neck),
        loss_cls=dict(loss=dict(type='mmkd_ext.CWDLoss', loss_weight=5.0), **scores),
        loss_pair=dict(
            loss=dict(type='mmkd_ext.SKDSPairwiseLoss', scale=0.5, loss_weight=0.5),
            **neck,
        ),
    ),
)
