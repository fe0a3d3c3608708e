"""What trains on BCCD at its own size, 640 x 480, shares; not to be run itself.

Tests are at 320 x 240 unless a config takes `whole_pipeline`.
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PackDetInputs'),
]
whole_pipeline = [step for step in _base_.test_pipeline if step['type'] != 'Resize']
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
