"""Pair: PSPNet-R101 (79.76 mIoU) and DeepLabV3-R101 (80.20) teach PSPNet-R18 (74.87).

Each counts one half. Cityscapes, stride 8. Figures: mmsegmentation's model zoo, 512x1024,
80k iterations.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    ),
    teacher=None,
    teacher_ckpt=None,
    teachers=dict(
        pspnet=dict(
            model=dict(
                cfg_path='mmseg::pspnet/pspnet_r101-d8_4xb2-80k_cityscapes-512x1024.py'
            ),
            ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/'
            'pspnet_r101-d8_512x1024_80k_cityscapes/'
            'pspnet_r101-d8_512x1024_80k_cityscapes_20200606_112211-e1e1100f.pth',
            weight=0.5,
        ),
        deeplabv3=dict(
            model=dict(
                cfg_path='mmseg::deeplabv3/'
                'deeplabv3_r101-d8_4xb2-80k_cityscapes-512x1024.py'
            ),
            ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/'
            'deeplabv3_r101-d8_512x1024_80k_cityscapes/'
            'deeplabv3_r101-d8_512x1024_80k_cityscapes_20200606_113503-9e428899.pth',
            weight=0.5,
        ),
    ),
)
