"""Links: MLLD of a classifier, on a weak and a strong view of each picture.

`collate_fn` belongs into the dataloader, and `two_views` ends its pipeline.
"""

collate_fn = dict(type='mmkd_ext.views_collate')
augment = dict(
    type='RandAugment',
    policies='timm_increasing',
    num_policies=2,
    magnitude_level=10,
    total_level=30,
)
two_views = dict(
    type='mmkd_ext.Views',
    views=[[dict(type='PackInputs')], [augment, dict(type='PackInputs')]],
)

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_mlld=dict(
            loss=dict(type='mmkd_ext.MLLDLoss', loss_weight=0.9),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
        )
    ),
)
