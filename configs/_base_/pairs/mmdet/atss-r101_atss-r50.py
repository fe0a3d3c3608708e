"""Pair: ATSS-R101 (41.5 box AP) teaches ATSS-R50 (39.4 box AP) on COCO.

Figures: mmdetection's model zoo.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(cfg_path='mmdet::atss/atss_r50_fpn_1x_coco.py'),
    teacher=dict(cfg_path='mmdet::atss/atss_r101_fpn_1x_coco.py'),
    teacher_ckpt=(
        'https://download.openmmlab.com/mmdetection/v2.0/atss/'
        'atss_r101_fpn_1x_coco/atss_r101_fpn_1x_20200825-dfcadd6f.pth'
    ),
)
