"""The teacher on CamVid at 480 x 360: half a ResNet-18 with semantic FPN, from scratch.

Command: CAMVID_ROOT=... python tools/train.py CONFIG
Expected: no figure yet.
Status: unrun
"""

_base_ = ['./base_360x480.py', '../../../configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py']
iterations = 3000
model = dict(_delete_=True, **_base_.model.teacher)
model['data_preprocessor']['size'] = _base_.crop_size
model['decode_head']['num_classes'] = 11
test_dataloader = val_dataloader = dict(dataset=dict(pipeline=_base_.whole_pipeline))
optim_wrapper = dict(clip_grad=None)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
default_hooks = dict(checkpoint=dict(interval=iterations))
