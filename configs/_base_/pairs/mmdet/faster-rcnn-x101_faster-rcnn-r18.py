"""Pair: Faster R-CNN-X101 (42.1 box AP) teaches Faster R-CNN-R18 (its own figure is not
in the zoo) on COCO.

Figures: mmdetection's model zoo; the zoo has no such student, so the config is
made from that of R50.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        backbone=dict(depth=18, init_cfg=dict(
            type='Pretrained', checkpoint='torchvision://resnet18')),
        neck=dict(in_channels=[64, 128, 256, 512]),
    ),
    teacher=dict(cfg_path='mmdet::faster_rcnn/faster-rcnn_x101-64x4d_fpn_1x_coco.py'),
    teacher_ckpt=(
        'https://download.openmmlab.com/mmdetection/v2.0/faster_rcnn/'
        'faster_rcnn_x101_64x4d_fpn_1x_coco/'
        'faster_rcnn_x101_64x4d_fpn_1x_coco_20200204-833ee192.pth'
    ),
)
