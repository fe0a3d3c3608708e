"""Pair: Cascade Mask R-CNN-X101-DCN (47.3 box AP, 41.1 mask AP) teaches Faster R-CNN-R50
(38.4 box AP) on COCO.

Figures: mmdetection's model zoo.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(cfg_path='mmdet::faster_rcnn/faster-rcnn_r50_fpn_2x_coco.py'),
    teacher=dict(
        cfg_path='mmdet::dcn/cascade-mask-rcnn_x101-32x4d-dconv-c3-c5_fpn_1x_coco.py'
    ),
    teacher_ckpt=(
        'https://download.openmmlab.com/mmdetection/v2.0/dcn/'
        'cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x_coco/'
        'cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x_coco-e75f90c8.pth'
    ),
)
