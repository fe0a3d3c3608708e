"""Schedule: AdamW at 6e-5 for 160k iterations, for 8 images, as mmseg's SegFormer."""

_base_ = 'mmseg::_base_/schedules/schedule_160k.py'
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
# tasks say their schedule themselves; kept for configs that name this file
_deprecation_ = dict(expected='a file of configs/_base_/tasks')
