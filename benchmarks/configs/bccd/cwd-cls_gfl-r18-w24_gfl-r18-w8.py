"""CWD on the class scores of the head: GFL on BCCD.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 1 and weight 5 a level.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: not measured with 1,500 iterations. With 200 it had AP 39.5 +- 2.8 on val
(seeds 0 to 2, 2 CPU cores); the student alone 38.0 +- 2.9.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/cwd-cls.py',
]
model = dict(distiller=_base_.distiller)
