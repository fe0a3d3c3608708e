"""ESPNetv2 of four widths with the 20 outputs of the authors' Cityscapes weights.

Class 19 is a background that no picture was labelled with.
"""

custom_imports = dict(imports=['projects.espnetv2'])
weights = '{{$ESPNETV2_ROOT:data/espnetv2}}'
espnetv2 = {
    name: dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(
            type='mmseg.SegDataPreProcessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
        ),
        backbone=dict(type='mmkd_ext.ESPNetv2', width=width),
        decode_head=dict(
            type='mmkd_ext.ESPNetv2Head',
            in_channels=channels,
            num_classes=20,
            loss_decode=dict(type='mmseg.CrossEntropyLoss'),
        ),
        train_cfg={},
        test_cfg=dict(mode='whole'),
    )
    for name, width, channels in (
        ('w05', 0.5, [16, 32, 64, 128]),
        ('w10', 1.0, [32, 64, 128, 256]),
        ('w15', 1.5, [32, 96, 192, 384]),
        ('w20', 2.0, [32, 128, 256, 512]),
    )
}
