"""The student alone on the toy street scenes: what distillation has to beat.

Command: make demo
Expected: 18.8 +- 1.3 mIoU on val (seeds 0, 1, 2), `benchmarks/results/demo.json`.
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/streets_demo.py',
    '../../../configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
model = dict(_delete_=True, **_base_.model.architecture)
model['data_preprocessor']['size'] = _base_.crop_size
