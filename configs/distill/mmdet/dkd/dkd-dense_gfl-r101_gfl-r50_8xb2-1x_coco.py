"""DKD on the positive priors of a dense head: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679. It
has no dense detector: the softmax over the 80 classes of each positive prior is ours,
after LD's classification term; alpha, beta and tau as for RoI heads.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure is known to us; the student alone has 40.2 AP.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-r101_gfl-r50.py',
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
                    connector=[dict(type='mmkd_ext.FlattenPredictions', classes=80), join],
                ),
            )
        ),
    )
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
