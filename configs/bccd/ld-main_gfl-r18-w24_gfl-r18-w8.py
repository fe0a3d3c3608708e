"""LD in the main region: GFL on BCCD.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; tau 10 and weight 0.25 as published.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 36.8 +- 2.1 on val (seeds 0 to 2, 2 CPU cores); the student alone 38.0 +-
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
        ),
    )
)
