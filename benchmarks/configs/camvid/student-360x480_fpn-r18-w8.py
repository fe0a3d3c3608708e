"""The student alone on CamVid at 480 x 360: what a smaller picture costs.

Command: python benchmarks/repeat.py benchmarks/experiments/camvid_resolution.py
Expected: no figure yet.
Status: unrun
"""

_base_ = ['./base_360x480.py', '../../../configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py']
model = dict(_delete_=True, **_base_.model.architecture)
model['data_preprocessor']['size'] = _base_.crop_size
model['decode_head']['num_classes'] = 11
test_dataloader = val_dataloader = dict(dataset=dict(pipeline=_base_.whole_pipeline))
