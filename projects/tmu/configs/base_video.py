"""What trainings on toy videos share. Not to be run itself."""

default_scope = 'mmkd_ext'
iterations = 300
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=5e-3), clip_grad=dict(max_norm=1.0)
)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=iterations,
        T_max=iterations,
        by_epoch=False,
    )
]
loader = dict(batch_size=16, num_workers=0, collate_fn=dict(type='default_collate'))
train_cfg = dict(by_epoch=False, max_iters=iterations, val_interval=iterations)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(
        type='mmkd_ext.DistillCheckpointHook',
        by_epoch=False,
        interval=iterations,
        max_keep_ckpts=1,
    ),
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
