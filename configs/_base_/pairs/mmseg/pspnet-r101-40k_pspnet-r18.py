"""Pair: PSPNet-R101 (78.34 mIoU) teaches PSPNet-R18 (74.87), Cityscapes, stride 8.

Figures: mmsegmentation's model zoo, 512x1024; the teacher was trained 40k iterations, the
student 80k.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    ),
    teacher=dict(
        cfg_path='mmseg::pspnet/pspnet_r101-d8_4xb2-40k_cityscapes-512x1024.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/'
    'pspnet_r101-d8_512x1024_40k_cityscapes/'
    'pspnet_r101-d8_512x1024_40k_cityscapes_20200604_232751-467e7cf4.pth',
)
