"""Pair: DeepLabV3-R101 (77.92 mIoU) teaches DeepLabV3-R18 on VOC 2012, 21 classes.

Figure: mmsegmentation's model zoo, 512x512, 40k iterations. The student is that of
Cityscapes with other classes.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmseg::deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        data_preprocessor=dict(size=(512, 512)),
        decode_head=dict(num_classes=21),
        auxiliary_head=dict(num_classes=21),
    ),
    teacher=dict(
        cfg_path='mmseg::deeplabv3/deeplabv3_r101-d8_4xb4-40k_voc12aug-512x512.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/'
    'deeplabv3_r101-d8_512x512_40k_voc12aug/'
    'deeplabv3_r101-d8_512x512_40k_voc12aug_20200613_161432-0017d784.pth',
)
