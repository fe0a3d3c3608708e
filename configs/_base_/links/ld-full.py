"""Links: LD on the positive priors and in the valuable region, and KD of the classes."""

# class logits and box distributions of both heads, and the student's positive priors
classes, boxes = dict(at='bbox_head', item=0), dict(at='bbox_head', item=1)
head = dict(of='student', at=dict(type='Module', source='bbox_head'))
targets = dict(
    of='student',
    at=dict(type='ModuleInputs', source='bbox_head.loss_cls'),
    call='all',
    item=1,
)
main = dict(
    **head,
    connector=dict(type='mmkd_ext.LDMainRegion'),
    given=dict(logits=dict(of='student', **classes), targets=targets),
)
valuable = dict(
    **head,
    connector=dict(type='mmkd_ext.LDValuableRegion', published_diou=True),
    given=dict(
        logits=dict(of='student', **classes),
        data_samples=dict(of='batch', at='data_samples'),
    ),
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_ld=dict(
            loss=dict(type='mmkd_ext.LDLoss', tau=10.0, loss_weight=0.25),
            preds_S=dict(of='student', **boxes),
            preds_T=dict(of='teacher', **boxes),
            region=main,
        ),
        loss_ld_vlr=dict(
            loss=dict(
                type='mmkd_ext.LDLoss', tau=10.0, avg_factor=16.0, loss_weight=0.25
            ),
            preds_S=dict(of='student', **boxes),
            preds_T=dict(of='teacher', **boxes),
            region=valuable,
        ),
        loss_kd=dict(
            loss=dict(type='mmkd_ext.LDClassLoss', tau=2.0, loss_weight=10.0),
            preds_S=dict(of='student', **classes),
            preds_T=dict(of='teacher', **classes),
            region=main,
        ),
    ),
)
