"""Links: SSKD of a classifier, both stages; networks of 256 pooled channels.

`collate_fn` belongs into the dataloader, and `four_views` ends its pipeline; `stage_one`
is the model of that.
"""

collate_fn = dict(type='mmkd_ext.views_collate')
four_views = dict(
    type='mmkd_ext.Views',
    views=[
        [dict(type='mmkd_ext.QuarterTurns', turns=i), dict(type='PackInputs')]
        for i in range(4)
    ],
)
stage_one = dict(
    student_trainable=False,
    calculate_student_loss=False,
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_sskd_head=dict(
                loss=dict(type='mmkd_ext.SSKDHeadLoss', channels=256),
                features=dict(of='teacher', at='neck', item=-1),
            )
        ),
    ),
)

logits = dict(
    preds_S=dict(of='student', at='head'), preds_T=dict(of='teacher', at='head')
)
labels = dict(of='batch', at='data_samples')
own_head = dict(type='mmkd_ext.SSKDHead', channels=256)
teacher_head = dict(type='mmkd_ext.SSKDTeacherHead', channels=256)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_sskd_task=dict(
            loss=dict(type='mmkd_ext.SSKDTaskLoss', loss_weight=0.1),
            preds_S=logits['preds_S'],
            labels=labels,
        ),
        loss_sskd_plain=dict(
            loss=dict(type='mmkd_ext.SSKDPlainLoss', tau=4.0, loss_weight=0.9), **logits
        ),
        loss_sskd_turned=dict(
            loss=dict(type='mmkd_ext.SSKDTransformedLoss', tau=4.0, loss_weight=2.7),
            **logits,
        ),
        loss_sskd_similarity=dict(
            loss=dict(
                type='mmkd_ext.SSKDSimilarityLoss', tau=0.5, keep=0.75, loss_weight=10.0
            ),
            preds_S=dict(of='student', at='neck', item=-1, connector=own_head),
            preds_T=dict(of='teacher', at='neck', item=-1, connector=teacher_head),
        ),
    ),
)
