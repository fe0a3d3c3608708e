"""CWD on the five FPN levels: GFL on BCCD.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 1 and weight 10 a level as mmrazor's for
RetinaNet.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 54.3 +- 0.2 on val (seeds 0 to 2, CPU); the student alone 50.7 +- 0.7;
benchmarks/results/bccd_gfl.json.
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/cwd-fpn.py',
]
model = dict(distiller=_base_.distiller)
