"""DKD on the positive priors of the head: GFL on BCCD.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679;
alpha 1, beta 0.25, tau 1 as published for RoI heads.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 37.0 +- 1.4 on val (seeds 0 to 2, 2 CPU cores); the student alone 38.0 +-
2.9; benchmarks/results/bccd_gfl.json.
Status: measured
"""

_base_ = [
    '../_base_/tasks/bccd-240x320.py',
    '../_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
]
# what the student's head tells its loss, once a level: logits, (labels, quality)
loss_cls = dict(type='ModuleInputs', source='bbox_head.loss_cls')
join = dict(type='mmkd_ext.ConcatLevels')
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_dkd=dict(
                loss=dict(type='mmkd_ext.DKDLoss', alpha=1.0, beta=0.25, tau=1.0),
                preds_S=dict(
                    of='student', at=loss_cls, call='all', item=0, connector=join
                ),
                labels=dict(
                    of='student', at=loss_cls, call='all', item='1.0', connector=join
                ),
                preds_T=dict(
                    of='teacher',
                    at='bbox_head.gfl_cls',
                    call=[0, 1, 2, 3, 4],
                    connector=[dict(type='mmkd_ext.FlattenPredictions', classes=3), join],
                ),
            )
        ),
    )
)
