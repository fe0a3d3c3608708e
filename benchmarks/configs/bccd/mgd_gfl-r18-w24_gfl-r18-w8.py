"""MGD on the five FPN levels: GFL on BCCD.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529; mask
ratio 0.65 and weight 2e-5 as published; the student starts as it would alone, so
nothing is inherited.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 52.0 +- 1.1 on val (seeds 0 to 2, CPU); the student alone 50.7 +- 0.7;
benchmarks/results/bccd_gfl.json. With three times its weight 52.8 +- 0.3.
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/mgd-fpn.py',
]
_base_.distiller.links.loss_mgd.preds_S.connector.connector.channels = 32
model = dict(distiller=_base_.distiller)
