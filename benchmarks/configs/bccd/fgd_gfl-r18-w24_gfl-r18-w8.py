"""FGD on the five FPN levels: GFL on BCCD.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights as published for heads with anchors; the
student starts as it would alone, so nothing is inherited.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 52.7 +- 0.7 on val (seeds 0 to 2, CPU); the student alone 50.7 +- 0.7;
benchmarks/results/bccd_gfl.json.
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/fgd-fpn.py',
]
_base_.distiller.links.loss_fgd.loss.channels = 32
model = dict(distiller=_base_.distiller)
