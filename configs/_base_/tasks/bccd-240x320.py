"""Task: BCCD at half resolution, 320 x 240; students train 1,500 iterations.

The data set is looked for in ``$BCCD_ROOT``, by default ``data/bccd``. Everything is
trained from scratch, so AdamW: it needs no warm backbone to get going.
"""

_base_ = ['../datasets/bccd.py', 'mmdet::_base_/default_runtime.py']
data_root = '{{$BCCD_ROOT:data/bccd}}'
img_scale = (320, 240)
iterations = 1500

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=img_scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=img_scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
test_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=test_pipeline),
)
test_evaluator = dict(ann_file=f'{data_root}/annotations/val.json')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=25, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-5,
        begin=25,
        end=iterations,
        by_epoch=False,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
# the test judges the last checkpoint: nothing is chosen by what validation says
val_dataloader = val_evaluator = val_cfg = None
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=25, log_metric_by_epoch=False),
    checkpoint=dict(
        type='mmkd_ext.DistillCheckpointHook',
        by_epoch=False,
        interval=500,
        max_keep_ckpts=1,
    ),
)
log_processor = dict(type='LogProcessor', by_epoch=False, window_size=25)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
