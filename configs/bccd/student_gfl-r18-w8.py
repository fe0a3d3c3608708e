"""The GFL student alone on BCCD: what distillation has to beat.

Command: python tools/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: `benchmarks/results/bccd_gfl.json`.
Status: unrun
"""

_base_ = [
    '../_base_/tasks/bccd-240x320.py',
    '../_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
]
model = dict(_delete_=True, **_base_.model.architecture)
