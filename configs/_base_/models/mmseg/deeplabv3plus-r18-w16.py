"""Model: DeepLabV3+ on a quarter of ResNet-18, from scratch, all norms batch norms.

Width 16 counts the channels of ResNet's first stage, where ResNet-18 has 64. The last
stage is dilated, so features come at stride 16; 36 batch norms, one of them on the
pooled 1 x 1 map of ASPP, which no statistics of a single picture can serve. No weights
are downloaded.
"""

width = 16
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='mmseg.EncoderDecoder',
    data_preprocessor=dict(
        type='mmseg.SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        type='mmseg.ResNetV1c',
        depth=18,
        stem_channels=width,
        base_channels=width,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        type='mmseg.DepthwiseSeparableASPPHead',
        in_channels=8 * width,
        in_index=3,
        c1_in_channels=width,
        c1_channels=width // 2,
        channels=2 * width,
        dilations=(1, 3, 6, 9),
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss'),
    ),
    train_cfg={},
    test_cfg=dict(mode='whole'),
)
del width, norm_cfg
