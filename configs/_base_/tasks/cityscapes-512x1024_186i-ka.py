"""Task: Cityscapes at 512x1024 for one epoch of 4 x 4 images, as KA's stage one.

SGD at 0.1 with weight decay 1e-4, printed as "10e-4". Nothing of the student is trained,
so nothing is evaluated and no student file is written.
"""

_base_ = [
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_80k.py',
]
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=1e-4))
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, end=186, by_epoch=False)]
train_cfg = dict(max_iters=186)
val_cfg = val_dataloader = val_evaluator = None
default_hooks = dict(
    checkpoint=dict(
        type='mmkd_ext.DistillCheckpointHook',
        interval=186,
        save_best=None,
        student_file=False,
    ),
    logger=dict(interval=10),
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
