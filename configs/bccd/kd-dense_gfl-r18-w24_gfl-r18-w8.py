"""KD on the positive priors of the head: GFL on BCCD.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 2 and weight 10 / 3, LD's classification term,
which divides by the classes.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 33.0 +- 1.1 on val (seeds 0 to 2, 2 CPU cores); the student alone 38.0 +-
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
            loss_kd=dict(
                loss=dict(type='mmkd_ext.KDLoss', tau=2.0, loss_weight=10 / 3),
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
