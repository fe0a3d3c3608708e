"""Task: Cityscapes at 512x1024 for 40k iterations of 4 x 4 images.

As CIRKD trains, but for the 16 images: they are 2 on each of 8 GPUs there. What is
compared within the images of one GPU needs a config `8xb2` to be the same.
"""

_base_ = [
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_40k.py',
]
train_dataloader = dict(batch_size=4)
optimizer = dict(lr=0.02, weight_decay=1e-4)
optim_wrapper = dict(optimizer=optimizer)
param_scheduler = [
    dict(type='PolyLR', eta_min=0.0, power=0.9, end=40000, by_epoch=False)
]
default_hooks = dict(
    checkpoint=dict(type='mmkd_ext.DistillCheckpointHook', save_best='mIoU')
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
