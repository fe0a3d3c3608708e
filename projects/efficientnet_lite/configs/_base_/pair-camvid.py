"""Pair: FPN on EfficientNet-Lite2 teaches a narrow one on Lite0, on CamVid.

Both backbones begin with ImageNet weights. The neck and the head of the student have a
quarter of the teacher's channels.
"""

_base_ = ['../../../../configs/_base_/tasks/camvid-180x240.py']
custom_imports = dict(imports=['projects.efficientnet_lite'])
iterations = 1000
norm_cfg = dict(type='BN', requires_grad=True)
teacher, student = (
    dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(
            type='mmseg.SegDataPreProcessor',
            mean=[127.0] * 3,
            std=[128.0] * 3,
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size=_base_.crop_size,
            test_cfg=dict(size_divisor=32),
        ),
        backbone=dict(type='mmkd_ext.EfficientNetLite', arch=arch, pretrained=True),
        neck=dict(
            type='mmseg.FPN',
            in_channels=channels,
            out_channels=2 * width,
            num_outs=4,
        ),
        decode_head=dict(
            type='mmseg.FPNHead',
            in_channels=[2 * width] * 4,
            in_index=[0, 1, 2, 3],
            feature_strides=[4, 8, 16, 32],
            channels=width,
            dropout_ratio=0.1,
            num_classes=11,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(type='mmseg.CrossEntropyLoss'),
        ),
        train_cfg={},
        test_cfg=dict(mode='whole'),
    )
    for arch, channels, width in (
        ('lite2', [24, 48, 120, 352], 64),
        ('lite0', [24, 40, 112, 320], 16),
    )
)
del norm_cfg
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=student,
    # its weights come from a checkpoint
    teacher=dict(teacher, backbone=dict(teacher['backbone'], pretrained=False)),
    # made by: CAMVID_ROOT=<folder> python tools/train.py \
    #   projects/efficientnet_lite/configs/teacher_lite2-fpn_camvid.py \
    #   --work-dir work_dirs/repeat/camvid_lite/teacher
    teacher_ckpt='work_dirs/repeat/camvid_lite/teacher/iter_1000.pth',
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01)
)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
default_hooks = dict(checkpoint=dict(interval=iterations))
