"""FitNets on the five FPN levels: RetinaNet-R101 -> RetinaNet-R50, COCO 1x.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015, https://arxiv.org/abs/1412.6550;
joint training, mean squared error with weight 1 a level (ours: no published recipe for
this pair is known to us).
Command: bash tools/dist_train.sh CONFIG 8
Expected: unknown.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/retinanet-r101_retinanet-r50.py',
    '../../../_base_/links/fitnets-fpn.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
