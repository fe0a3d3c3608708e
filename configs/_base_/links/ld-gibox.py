"""Links: LD's feature imitation at general instances."""

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
        loss_im=dict(
            loss=dict(type='mmkd_ext.LDImitationLoss', loss_weight=2.0),
            preds_S=dict(of='student', at='neck'),
            preds_T=dict(of='teacher', at='neck'),
            region=dict(
                **head,
                connector=dict(type='mmkd_ext.LDGIRegion'),
                given=dict(
                    logits_S=dict(of='student', **classes),
                    logits_T=dict(of='teacher', **classes),
                    bins_S=dict(of='student', **boxes),
                    bins_T=dict(of='teacher', **boxes),
                ),
            ),
            positives=main,
        ),
    ),
)
