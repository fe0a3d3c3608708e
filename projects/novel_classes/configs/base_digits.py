"""What the configs on digits share: 0 to 4 are known, 5 to 9 novel.

Not to be run itself.
"""

custom_imports = dict(imports=['projects.novel_classes'])
default_scope = 'mmpretrain'
num_known, num_novel = 5, 5
epochs = 15
data_preprocessor = dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
network = dict(
    type='ImageClassifier',
    backbone=dict(type='mmkd_ext.SmallResNet', depth=8),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='mmkd_ext.NovelClassHead', in_channels=64, num_known=num_known, views=2
    ),
)
view = [dict(type='RandomCrop', crop_size=8, padding=1), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='mmkd_ext.views_collate'),
    dataset=dict(
        type='mmkd_ext.DigitsDataset',
        pipeline=[dict(type='mmkd_ext.Views', views=[view, view])],
    ),
)
val_dataloader = dict(
    batch_size=60,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd_ext.DigitsDataset',
        split='test',
        pipeline=[dict(type='PackInputs')],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd_ext.NovelAccuracy', num_known=num_known)
test_evaluator = val_evaluator
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=epochs,
        T_max=epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=22),
    checkpoint=dict(
        type='mmkd_ext.DistillCheckpointHook', interval=epochs, max_keep_ckpts=1
    ),
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
