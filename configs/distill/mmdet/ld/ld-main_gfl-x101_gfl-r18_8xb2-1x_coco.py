"""LD on the positives: GFL-X101 -> GFL-R18, COCO 1x.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; weight 0.25 and tau 10 as in the authors' code.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this pair is known to us; with GFL-R101 35.8 -> 36.5
AP (authors' README).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-x101_gfl-r18.py',
]
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_ld=dict(
                loss=dict(type='mmkd_ext.LDLoss', tau=10.0, loss_weight=0.25),
                preds_S=dict(of='student', at='bbox_head', item=1),
                preds_T=dict(of='teacher', at='bbox_head', item=1),
                region=dict(
                    of='student',
                    at=dict(type='Module', source='bbox_head'),
                    connector=dict(type='mmkd_ext.LDMainRegion'),
                    given=dict(
                        logits=dict(of='student', at='bbox_head', item=0),
                        targets=dict(
                            of='student',
                            at=dict(type='ModuleInputs', source='bbox_head.loss_cls'),
                            call='all',
                            item=1,
                        ),
                    ),
                ),
            ),
        ),
    )
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
