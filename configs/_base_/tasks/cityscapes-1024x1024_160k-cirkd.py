"""Task: Cityscapes at 1024x1024 for 160k iterations of 8 x 1 images, for SegFormer.

As CIRKD's script trains SegFormer-B0: AdamW at 2e-4 with weight decay 1e-4, the same for
all parameters, poly with power 0.9 and no warm-up.
"""

_base_ = [
    'mmseg::_base_/datasets/cityscapes_1024x1024.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_160k.py',
]
train_dataloader = dict(batch_size=1, num_workers=4)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4),
)
param_scheduler = [
    dict(type='PolyLR', eta_min=0.0, power=0.9, end=160000, by_epoch=False)
]
default_hooks = dict(
    checkpoint=dict(type='mmkd_ext.DistillCheckpointHook', save_best='mIoU')
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
