"""Task: CIFAR-100 for 240 epochs, as RepDistiller and most papers after it train."""

_base_ = [
    'mmpretrain::_base_/datasets/cifar100_bs16.py',
    'mmpretrain::_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=64)
val_dataloader = dict(batch_size=64)
test_dataloader = dict(batch_size=64)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1
)
train_cfg = dict(by_epoch=True, max_epochs=240, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=64)
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
