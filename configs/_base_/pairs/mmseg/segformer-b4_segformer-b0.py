"""Pair: SegFormer-B4 (81.89 mIoU) teaches SegFormer-B0 (76.54), Cityscapes, stride 4.

Figures: mmsegmentation's model zoo, 1024x1024, 160k iterations. In mmseg both heads are
256 channels wide.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py'
    ),
    teacher=dict(
        cfg_path='mmseg::segformer/segformer_mit-b4_8xb1-160k_cityscapes-1024x1024.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/segformer/'
    'segformer_mit-b4_8x1_1024x1024_160k_cityscapes/'
    'segformer_mit-b4_8x1_1024x1024_160k_cityscapes_20211207_080709-07f6c333.pth',
)
