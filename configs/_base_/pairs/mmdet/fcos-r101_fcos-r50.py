"""Pair: FCOS-R101 (40.8 box AP) teaches FCOS-R50 with center sampling, normalised boxes
and GIoU (38.7 box AP at 1x) on COCO.

Figures: mmdetection's model zoo.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path=(
            'mmdet::fcos/'
            'fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py'
        )
    ),
    teacher=dict(
        cfg_path='mmdet::fcos/fcos_r101-caffe_fpn_gn-head_ms-640-800-2x_coco.py'
    ),
    teacher_ckpt=(
        'https://download.openmmlab.com/mmdetection/v2.0/fcos/'
        'fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco/'
        'fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco-511424d6.pth'
    ),
)
