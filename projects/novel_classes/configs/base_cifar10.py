"""What the configs on CIFAR-10 share: airplane to deer are known, dog to truck novel.

Not to be run itself.
"""

_base_ = '../../../configs/_base_/tasks/cifar10_40e.py'
custom_imports = dict(imports=['projects.novel_classes'])
num_known, num_novel = 5, 5
network = dict(
    type='ImageClassifier',
    backbone=dict(type='mmkd_ext.SmallResNet', depth=20),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='mmkd_ext.NovelClassHead', in_channels=64, num_known=num_known, views=2
    ),
)
view = [
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    collate_fn=dict(type='mmkd_ext.views_collate'),
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmkd_ext.Views', views=[view, view]),
        ]
    ),
)
val_evaluator = dict(_delete_=True, type='mmkd_ext.NovelAccuracy', num_known=num_known)
test_evaluator = val_evaluator
