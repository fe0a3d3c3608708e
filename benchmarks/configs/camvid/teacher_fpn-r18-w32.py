"""The teacher on CamVid: half a ResNet-18 with semantic FPN, from scratch.

Command: CAMVID_ROOT=... python tools/train.py CONFIG
Expected: 49.2 mIoU on val, 30.6 on dusk (seed 0, 2 CPU cores).
Status: measured
"""

_base_ = '../../../configs/adapt/mmseg/source/fpn-r18-w32_camvid.py'
iterations = 3000
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
default_hooks = dict(checkpoint=dict(interval=iterations))
