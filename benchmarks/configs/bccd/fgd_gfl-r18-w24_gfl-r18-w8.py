"""FGD on the five FPN levels: GFL on BCCD.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights as published for heads with anchors; the
student starts as it would alone, so nothing is inherited.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: not measured with 1,500 iterations. With 200 it had AP 41.6 +- 1.0 on val
(seeds 0 to 2, 2 CPU cores); the student alone 38.0 +- 2.9.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/fgd-fpn.py',
]
_base_.distiller.links.loss_fgd.loss.channels = 32
model = dict(distiller=_base_.distiller)
