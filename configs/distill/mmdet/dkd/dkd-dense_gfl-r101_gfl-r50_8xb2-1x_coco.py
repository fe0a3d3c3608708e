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
    '../../../_base_/links/dkd-dense.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
