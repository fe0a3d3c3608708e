"""The RetinaNet student alone on BCCD: what distillation has to beat.

Command: python benchmarks/repeat.py benchmarks/experiments/bccd_retinanet.py
Expected: not measured with 1,500 iterations. With 200 it had AP 35.8 +- 2.0 on val
(seeds 0 to 2, 2 CPU cores).
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/retinanet-r18-w24_retinanet-r18-w8.py',
]
model = dict(_delete_=True, **_base_.model.architecture)
