"""The GFL student alone on BCCD: what distillation has to beat.

Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 50.7 +- 0.7 on val (seeds 0 to 2, CPU); benchmarks/results/bccd_gfl.json.
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
]
model = dict(_delete_=True, **_base_.model.architecture)
