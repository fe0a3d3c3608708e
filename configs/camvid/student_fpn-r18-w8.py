"""The student alone on CamVid: what distillation has to beat.

Command: python tools/repeat.py benchmarks/experiments/camvid_cwd.py
Expected: 25.8 +- 1.7 mIoU on val, 23.1 +- 1.3 on dusk (seeds 0, 1, 2),
`benchmarks/results/camvid_cwd.json`.
Status: measured
"""

_base_ = [
    '../_base_/tasks/camvid-180x240.py',
    '../_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
model = dict(_delete_=True, **_base_.model.architecture)
model['data_preprocessor']['size'] = _base_.crop_size
model['decode_head']['num_classes'] = 11
