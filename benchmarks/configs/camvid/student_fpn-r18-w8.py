"""The student alone on CamVid: what distillation has to beat.

Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: 40.6 +- 0.4 mIoU on val (seeds 0 to 2, 2 CPU cores).
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/camvid-180x240.py',
    '../../../configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
model = dict(_delete_=True, **_base_.model.architecture)
model['data_preprocessor']['size'] = _base_.crop_size
model['decode_head']['num_classes'] = 11
