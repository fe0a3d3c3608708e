"""CWD on four FPN levels: RetinaNet-X101 -> RetinaNet-R50, COCO 2x.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 1 and weight 5 on each of four levels as
pppppM/mmdetection-distiller.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.5 AP from 37.4 with a teacher of 40.8 (pppppM/mmdetection-distiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/retinanet-x101_retinanet-r50.py',
]
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=5.0),
                preds_S=dict(of='student', at='neck', item=[0, 1, 2, 3]),
                preds_T=dict(of='teacher', at='neck', item=[0, 1, 2, 3]),
            )
        ),
    )
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
