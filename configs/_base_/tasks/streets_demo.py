"""Task: the toy street scenes, in minutes on two cores; students train 500 iterations.

SGD with a short warm-up, because everything starts from random weights.
"""

_base_ = ['../datasets/streets.py', 'mmseg::_base_/default_runtime.py']
iterations = 500
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=1e-5,
        begin=50,
        end=iterations,
        by_epoch=False,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=100)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='mmkd_ext.DistillCheckpointHook',
        by_epoch=False,
        interval=100,
        max_keep_ckpts=1,
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='mmseg.SegVisualizationHook'),
)
log_processor = dict(by_epoch=False, window_size=20)
val_dataloader = dict(dataset=dict(indices=24))
val_evaluator = dict(type='mmkd_ext.ClassIoUMetric')
test_evaluator = dict(type='mmkd_ext.ClassIoUMetric')
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
