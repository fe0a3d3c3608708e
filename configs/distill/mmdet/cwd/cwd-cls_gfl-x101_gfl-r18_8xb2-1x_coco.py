"""CWD on the class scores of the head: GFL-X101 -> GFL-R18, COCO 1x.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; as for GFL-R50, tau 1 and weight 5 a level.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this pair is known to us; the student alone has
35.8 AP (HikariTJU/LD).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-x101_gfl-r18.py',
]
# the layer is shared by the levels: five calls, a map of 80 classes each
scores = dict(at='bbox_head.gfl_cls', call=[0, 1, 2, 3, 4])
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=5.0),
                preds_S=dict(of='student', **scores),
                preds_T=dict(of='teacher', **scores),
            )
        ),
    )
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
