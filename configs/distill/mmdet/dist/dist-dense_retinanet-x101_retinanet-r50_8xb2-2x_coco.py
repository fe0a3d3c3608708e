"""DIST on the class scores of a dense head: RetinaNet-X101 -> RetinaNet-R50, COCO 2x.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; sigmoid, weight 1 and tau 1 a level as in hunto/MasKD,
where a row is a position with the 720 scores of its nine priors.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 37.4 -> 39.8 AP (hunto/DIST_KD README).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/retinanet-x101_retinanet-r50.py',
]
# the layer is shared by the levels: five calls, a map of 9 x 80 scores each
scores = dict(at='bbox_head.retina_cls', call=[0, 1, 2, 3, 4])
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_dist=dict(
                loss=dict(type='mmkd_ext.DISTLoss', activation='sigmoid'),
                preds_S=dict(of='student', **scores),
                preds_T=dict(of='teacher', **scores),
            )
        ),
    )
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
