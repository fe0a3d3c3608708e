"""Links: DKD on the positive priors of GFL's head."""

# what the student's head tells its loss, once a level: logits, (labels, quality)
loss_cls = dict(type='ModuleInputs', source='bbox_head.loss_cls')
join = dict(type='mmkd_ext.ConcatLevels')
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_dkd=dict(
            loss=dict(type='mmkd_ext.DKDLoss', alpha=1.0, beta=0.25, tau=1.0),
            preds_S=dict(of='student', at=loss_cls, call='all', item=0, connector=join),
            labels=dict(
                of='student', at=loss_cls, call='all', item='1.0', connector=join
            ),
            preds_T=dict(
                of='teacher',
                at='bbox_head.gfl_cls',
                call=[0, 1, 2, 3, 4],
                connector=[dict(type='mmkd_ext.FlattenPredictions', classes=80), join],
            ),
        )
    ),
)
