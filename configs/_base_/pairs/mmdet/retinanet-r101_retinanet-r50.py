"""Pair: RetinaNet-R101 (38.9 AP, 2x) teaches RetinaNet-R50 (36.5 AP, 1x) on COCO.

Figures: mmdetection's model zoo.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(cfg_path='mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'),
    teacher=dict(cfg_path='mmdet::retinanet/retinanet_r101_fpn_2x_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/retinanet/'
    'retinanet_r101_fpn_2x_coco/'
    'retinanet_r101_fpn_2x_coco_20200131-5560aee8.pth',
)
