"""Source model of the CamVid stream: DeepLabV3+, day pictures of `train` only.

Command: CAMVID_ROOT=... python tools/train.py CONFIG
Expected: not trained yet.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/camvid-180x240.py',
    '../../../_base_/models/mmseg/deeplabv3plus-r18-w32.py',
]
iterations = 1500
model = dict(
    data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=11)
)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=iterations))
