"""Links: LD on the positive priors."""

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
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_ld=dict(
            loss=dict(type='mmkd_ext.LDLoss', tau=10.0, loss_weight=0.25),
            preds_S=dict(of='student', **boxes),
            preds_T=dict(of='teacher', **boxes),
            region=main,
        ),
    ),
)
