"""Pair: DeepLabV3-R101 (44.08 mIoU) teaches DeepLabV3-R18 on ADE20K, 150 classes.

Figure: mmsegmentation's model zoo, 512x512, 80k iterations. The student is that of
Cityscapes with other classes.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmseg::deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        data_preprocessor=dict(size=(512, 512)),
        decode_head=dict(num_classes=150),
        auxiliary_head=dict(num_classes=150),
    ),
    teacher=dict(
        cfg_path='mmseg::deeplabv3/deeplabv3_r101-d8_4xb4-80k_ade20k-512x512.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/'
    'deeplabv3_r101-d8_512x512_80k_ade20k/'
    'deeplabv3_r101-d8_512x512_80k_ade20k_20200615_021256-d89c7fa4.pth',
)
