"""Task: Cityscapes at 512x1024 for 80k iterations, as mmseg trains it."""

_base_ = [
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_80k.py',
]
default_hooks = dict(
    checkpoint=dict(type='mmkd_ext.DistillCheckpointHook', save_best='mIoU')
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
