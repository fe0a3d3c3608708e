"""LD in the main and the valuable region, and of classes: GFL on BCCD.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; tau, weights and divisors as published, the
region by the DIoU of the paper.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 50.4 +- 0.5 on val (seeds 0 to 2, CPU); the student alone 50.7 +- 0.7;
benchmarks/results/bccd_gfl.json. With a third of its weight 51.9 +- 0.9.
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/ld-full.py',
]
del _base_.distiller.links.loss_ld_vlr.region.connector['published_diou']
_base_.distiller.links.loss_ld_cls = _base_.distiller.links.pop('loss_kd')
model = dict(distiller=_base_.distiller)
