"""Task: Cityscapes at 512x1024 for 90k iterations of 4 x 4 images, as KA's stage two.

SGD at 0.007 with weight decay 4e-5, as printed.
"""

_base_ = [
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_80k.py',
]
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=0.007, weight_decay=4e-5))
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-4, power=0.9, end=90000, by_epoch=False)
]
train_cfg = dict(max_iters=90000)
default_hooks = dict(
    checkpoint=dict(type='mmkd_ext.DistillCheckpointHook', save_best='mIoU')
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
