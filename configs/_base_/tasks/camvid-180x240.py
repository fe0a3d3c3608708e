"""Task: CamVid at half resolution, 240 x 180; students train 2,000 iterations of 4 pictures.

Predictions are brought back to 480 x 360 and judged there. The data set is looked for in
``$CAMVID_ROOT``, by default ``data/camvid``.
"""

_base_ = ['../datasets/camvid.py', 'mmseg::_base_/default_runtime.py']
data_root = '{{$CAMVID_ROOT:data/camvid}}'
crop_size = (160, 224)
iterations = 2000

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=(240, 180),
        ratio_range=(0.9, 1.8),
        keep_ratio=True,
    ),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(240, 180), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
test_dataloader = dict(
    batch_size=8,
    dataset=dict(data_root=data_root, pipeline=test_pipeline),
)
# neighbouring frames hardly differ: every fifth is enough while training
val_dataloader = dict(
    batch_size=8,
    dataset=dict(
        data_root=data_root,
        pipeline=test_pipeline,
        indices=list(range(0, 101, 5)),
    ),
)
val_evaluator = dict(type='mmkd_ext.ClassIoUMetric')
test_evaluator = dict(type='mmkd_ext.ClassIoUMetric')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4),
    # published weights of 10 to 200 diverge without it at this learning rate
    clip_grad=dict(max_norm=1.0),
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
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='mmkd_ext.DistillCheckpointHook',
        by_epoch=False,
        interval=iterations,
        max_keep_ckpts=1,
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='mmseg.SegVisualizationHook'),
)
log_processor = dict(by_epoch=False, window_size=50)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
