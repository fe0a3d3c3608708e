"""Pair: RetinaNet-X101 (41.6 box AP, 3x multi-scale) teaches RetinaNet-R50 (37.4 box AP)
on COCO.

Figures: mmdetection's model zoo.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(cfg_path='mmdet::retinanet/retinanet_r50_fpn_2x_coco.py'),
    teacher=dict(
        cfg_path='mmdet::retinanet/retinanet_x101-64x4d_fpn_ms-640-800-3x_coco.py'
    ),
    teacher_ckpt=(
        'https://download.openmmlab.com/mmdetection/v2.0/retinanet/'
        'retinanet_x101_64x4d_fpn_mstrain_3x_coco/'
        'retinanet_x101_64x4d_fpn_mstrain_3x_coco_20210719_051838-022c2187.pth'
    ),
)
