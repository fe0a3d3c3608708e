"""Source model of the streets streams: DeepLabV3+, clear toy streets only.

Command: python projects/toy_streets/make.py --out data/streets --seed 0
         python tools/train.py CONFIG
Expected: 29.8 mIoU on clear val (seed 0, 2 CPU cores).
Status: measured
"""

_base_ = [
    '../../../_base_/tasks/streets_demo.py',
    '../../../_base_/models/mmseg/deeplabv3plus-r18-w16.py',
]
iterations = 1600
model = dict(data_preprocessor=dict(size=_base_.crop_size))
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations, val_interval=400)
