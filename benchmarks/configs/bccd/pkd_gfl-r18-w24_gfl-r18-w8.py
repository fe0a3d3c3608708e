"""PKD on the first four FPN levels: GFL on BCCD.

Paper: General Distillation Framework for Object Detectors via Pearson Correlation
Coefficient, NeurIPS 2022, https://arxiv.org/abs/2207.02039; weight 10 a level as
published for RetinaNet.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 53.8 +- 0.9 on val (seeds 0 to 2, CPU); the student alone 50.7 +- 0.7;
benchmarks/results/bccd_gfl.json.
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/pkd-fpn.py',
]
model = dict(distiller=_base_.distiller)
