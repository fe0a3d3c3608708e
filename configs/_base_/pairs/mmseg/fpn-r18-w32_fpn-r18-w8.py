"""Pair: semantic FPN on half a ResNet-18 teaches one on an eighth, both from scratch.

Widths count the channels of ResNet's first stage: 32 and 8, where ResNet-18 has 64. The
student has 1/16 of the teacher's parameters. Both predict at stride 4, for 19 classes.
No weights are downloaded.
"""

norm_cfg = dict(type='BN', requires_grad=True)
data_preprocessor = dict(
    type='mmseg.SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    test_cfg=dict(size_divisor=32),
)
teacher, student = (
    dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=data_preprocessor,
        backbone=dict(
            type='mmseg.ResNetV1c',
            depth=18,
            stem_channels=width,
            base_channels=width,
            norm_cfg=norm_cfg,
        ),
        neck=dict(
            type='mmseg.FPN',
            in_channels=[width, 2 * width, 4 * width, 8 * width],
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
            num_classes=19,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(type='mmseg.CrossEntropyLoss'),
        ),
        train_cfg={},
        test_cfg=dict(mode='whole'),
    )
    for width in (32, 8)
)
model = dict(type='mmkd_ext.TeacherDistill', architecture=student, teacher=teacher)
del teacher, student, data_preprocessor, norm_cfg
