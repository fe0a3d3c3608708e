"""Source model of the CamVid stream: semantic FPN on half a ResNet-18, from scratch.

Day pictures of `train` only, seven and a half times as many iterations as the students
that it teaches in benchmarks/configs/camvid.

Command: CAMVID_ROOT=... python tools/train.py CONFIG
Expected: 43.5 mIoU on val (seed 0, 2 CPU cores).
Status: measured
"""

_base_ = [
    '../../../_base_/tasks/camvid-180x240.py',
    '../../../_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
iterations = 1500
model = dict(_delete_=True, **_base_.model.teacher)
model['data_preprocessor']['size'] = _base_.crop_size
model['decode_head']['num_classes'] = 11
optim_wrapper = dict(clip_grad=None)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=iterations))
