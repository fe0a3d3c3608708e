"""Task: Cityscapes at 1024x1024 for 160k iterations of 8 x 1 images, as mmseg's SegFormer."""

_base_ = [
    'mmseg::_base_/datasets/cityscapes_1024x1024.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_160k.py',
]
train_dataloader = dict(batch_size=1, num_workers=4)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys=dict(
            pos_block=dict(decay_mult=0.0),
            norm=dict(decay_mult=0.0),
            head=dict(lr_mult=10.0),
        )
    ),
)
warm_up = dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False)
param_scheduler = [
    warm_up,
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=1500, end=160000, by_epoch=False),
]
default_hooks = dict(
    checkpoint=dict(type='mmkd_ext.DistillCheckpointHook', save_best='mIoU')
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
