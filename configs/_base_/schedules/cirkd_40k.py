"""Schedule: SGD at 0.02 for 40k iterations, for 16 images, as CIRKD trains a CNN."""

_base_ = 'mmseg::_base_/schedules/schedule_40k.py'
optimizer = dict(lr=0.02, weight_decay=1e-4)
optim_wrapper = dict(optimizer=optimizer)
param_scheduler = [
    dict(type='PolyLR', eta_min=0.0, power=0.9, end=40000, by_epoch=False)
]
default_hooks = dict(
    checkpoint=dict(type='mmkd_ext.DistillCheckpointHook', save_best='mIoU')
)
# tasks say their schedule themselves; kept for configs that name this file
_deprecation_ = dict(expected='a file of configs/_base_/tasks')
