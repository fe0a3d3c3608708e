"""FitNets on the five FPN levels: GFL on BCCD.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015, https://arxiv.org/abs/1412.6550;
weight 1 a level, jointly (no published recipe).
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: not measured with 1,500 iterations. With 200 it had AP 39.8 +- 1.4 on val
(seeds 0 to 2, 2 CPU cores); the student alone 38.0 +- 2.9.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/fitnets-fpn.py',
]
model = dict(distiller=_base_.distiller)
