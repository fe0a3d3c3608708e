"""LD in the main and the valuable region, and of classes: GFL on BCCD.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; tau, weights and divisors as published.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 38.3 +- 2.3 on val (seeds 0 to 2, 2 CPU cores); the student alone 38.0 +-
2.9; benchmarks/results/bccd_gfl.json.
Status: measured
"""

_base_ = [
    '../_base_/tasks/bccd-240x320.py',
    '../_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
]
# class logits and box distributions of both heads, and the head itself
classes, boxes = dict(at='bbox_head', item=0), dict(at='bbox_head', item=1)
head = dict(of='student', at=dict(type='Module', source='bbox_head'))
targets = dict(
    of='student',
    call='all',
    item=1,
    at=dict(type='ModuleInputs', source='bbox_head.loss_cls'),
)
main = dict(
    **head,
    connector=dict(type='mmkd_ext.LDMainRegion'),
    given=dict(logits=dict(of='student', **classes), targets=targets),
)
valuable = dict(
    **head,
    connector=dict(type='mmkd_ext.LDValuableRegion'),
    given=dict(
        logits=dict(of='student', **classes),
        data_samples=dict(of='batch', at='data_samples'),
    ),
)
model = dict(
    distiller=dict(
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
            loss_ld_cls=dict(
                loss=dict(type='mmkd_ext.LDClassLoss', tau=2.0, loss_weight=10.0),
                preds_S=dict(of='student', **classes),
                preds_T=dict(of='teacher', **classes),
                region=main,
            ),
        ),
    )
)
