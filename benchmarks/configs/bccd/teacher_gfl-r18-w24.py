"""The GFL teacher on BCCD: 3/8 of a ResNet-18, from scratch.

Command: python tools/train.py benchmarks/configs/bccd/teacher_gfl-r18-w24.py
Expected: AP 55.5 on val (seed 0, CPU); benchmarks/results/bccd_gfl.json.
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
]
iterations = 3000
model = dict(_delete_=True, **_base_.model.teacher)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations)
