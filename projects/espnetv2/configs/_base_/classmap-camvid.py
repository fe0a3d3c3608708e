"""ESPNetv2 of width 2.0, as it came from Cityscapes, teaches an FPN CamVid's classes.

The teacher never saw CamVid. It sees crops of pictures at 480 x 360, the student the same
at 240 x 180, where it is tested. `IgnoreLabels` keeps the labels of all pictures; give it
`keep` and `of` for fewer.
"""

_base_ = [
    './espnetv2.py',
    '../../../../configs/_base_/tasks/camvid-180x240.py',
    '../../../../configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
crop_size = (320, 448)
class_map = dict(
    type='mmkd_ext.ClassMap',
    source=[
        *('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light'),
        *('traffic sign', 'vegetation', 'terrain', 'sky', 'person', 'rider', 'car'),
        *('truck', 'bus', 'train', 'motorcycle', 'bicycle', 'background'),
    ],
    target='mmkd_ext.CamVidDataset',
    merge=dict(
        building=['building', 'wall', 'background'],
        pavement='sidewalk',
        tree=['vegetation', 'terrain'],
        sign=['traffic light', 'traffic sign'],
        car=['car', 'truck', 'bus', 'train'],
        pedestrian='person',
        bicyclist=['rider', 'motorcycle', 'bicycle'],
    ),
)
logits = 'decode_head.conv_seg'
model = dict(
    architecture=dict(
        data_preprocessor=dict(size=crop_size),
        # pictures without labels must not make those of the others weigh less
        decode_head=dict(num_classes=11, loss_decode=dict(avg_non_ignore=True)),
    ),
    student_input=dict(scale=0.5),
    teacher=dict(_delete_=True, **_base_.espnetv2.w20),
    teacher_ckpt=f'{_base_.weights}/espnetv2-w20.pth',
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_kd=dict(
                loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits, connector=class_map),
            )
        ),
    ),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='mmkd_ext.IgnoreLabels', keep=1, of=1),
    dict(
        type='RandomResize', scale=(480, 360), ratio_range=(0.9, 1.8), keep_ratio=True
    ),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
