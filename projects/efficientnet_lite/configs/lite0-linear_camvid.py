"""Linear probe: what frozen EfficientNet-Lite0 knows of CamVid, 480 x 360.

One linear layer on the four features together is trained, 400 iterations of 4 crops.
Random weights: --cfg-options model.backbone.pretrained=False

Command: CAMVID_ROOT=... mmkd train CONFIG
Expected: 59.9 mIoU on every fifth picture of val (seed 0, CPU); 2.7 with random
weights, whose frozen batch norm knows no statistics.
Status: measured
"""

_base_ = ['../../../configs/_base_/tasks/camvid-180x240.py']
custom_imports = dict(imports=['projects.efficientnet_lite'])
crop_size = (256, 320)
iterations = 400
channels = [24, 40, 112, 320]

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[127.0] * 3,
        std=[128.0] * 3,
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=crop_size,
    ),
    backbone=dict(
        type='mmkd_ext.EfficientNetLite',
        arch='lite0',
        frozen_stages=4,
        pretrained=True,
    ),
    # no convolution before the classifier: it is linear
    decode_head=dict(
        type='FCNHead',
        in_channels=channels,
        in_index=[0, 1, 2, 3],
        input_transform='resize_concat',
        channels=sum(channels),
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=11,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg={},
    test_cfg=dict(mode='whole'),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(batch_size=1, dataset=dict(pipeline=test_pipeline))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adam', lr=3e-3), clip_grad=None
)
param_scheduler = [
    dict(
        type='PolyLR', power=0.9, eta_min=1e-5, begin=0, end=iterations, by_epoch=False
    )
]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
default_hooks = dict(
    checkpoint=dict(
        _delete_=True, type='CheckpointHook', by_epoch=False, interval=iterations
    )
)
