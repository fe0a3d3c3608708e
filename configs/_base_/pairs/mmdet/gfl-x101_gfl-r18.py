"""Pair: GFL-X101 (45.9 box AP) teaches GFL-R18 (its own figure is not in the zoo) on
COCO.

Figures: mmdetection's model zoo; the zoo has no such student, so the config is
made from that of R50.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmdet::gfl/gfl_r50_fpn_1x_coco.py',
        backbone=dict(depth=18, init_cfg=dict(
            type='Pretrained', checkpoint='torchvision://resnet18')),
        neck=dict(in_channels=[64, 128, 256, 512]),
    ),
    teacher=dict(cfg_path='mmdet::gfl/gfl_x101-32x4d_fpn_ms-2x_coco.py'),
    teacher_ckpt=(
        'https://download.openmmlab.com/mmdetection/v2.0/gfl/'
        'gfl_x101_32x4d_fpn_mstrain_2x_coco/'
        'gfl_x101_32x4d_fpn_mstrain_2x_coco_20200630_102002-50c1ffdb.pth'
    ),
)
