"""Task: ImageNet for 100 epochs, as mmpretrain trains ResNets."""

_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32.py',
    'mmpretrain::_base_/schedules/imagenet_bs256.py',
    'mmpretrain::_base_/default_runtime.py',
]
default_hooks = dict(
    checkpoint=dict(
        type='mmkd_ext.DistillCheckpointHook',
        max_keep_ckpts=1,
        save_best='accuracy/top1',
    )
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
