"""The network of the teacher, and of the students but for their depth.

Not to be run itself.
"""

network = dict(
    type='ImageClassifier',
    backbone=dict(type='mmkd_ext.SmallResNet', depth=56, shortcut='pad'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=64,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
