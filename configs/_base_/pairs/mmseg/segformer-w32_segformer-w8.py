"""Pair: SegFormer of MiT-B0's width teaches one of a quarter, both from scratch.

Widths count the channels of the first stage: 32, which is MiT-B0, and 8. The student has
one block a stage instead of two, and 1/22 of the teacher's parameters. Both predict at
stride 4, for 19 classes. No weights are downloaded.
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
            type='mmseg.MixVisionTransformer',
            embed_dims=width,
            num_layers=[layers] * 4,
            num_heads=[1, 2, 5, 8],
            patch_sizes=[7, 3, 3, 3],
            sr_ratios=[8, 4, 2, 1],
            qkv_bias=True,
            drop_path_rate=0.0,
        ),
        decode_head=dict(
            type='mmseg.SegformerHead',
            in_channels=[width, 2 * width, 5 * width, 8 * width],
            in_index=[0, 1, 2, 3],
            channels=4 * width,
            dropout_ratio=0.1,
            num_classes=19,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(type='mmseg.CrossEntropyLoss'),
        ),
        train_cfg={},
        test_cfg=dict(mode='whole'),
    )
    for width, layers in ((32, 2), (8, 1))
)
model = dict(type='mmkd_ext.TeacherDistill', architecture=student, teacher=teacher)
del teacher, student, data_preprocessor, norm_cfg
