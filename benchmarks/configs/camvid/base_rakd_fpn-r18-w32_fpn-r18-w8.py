"""A teacher of CamVid at 480 x 360 and a student of 240 x 180 of the same crops.

Not to be run itself: it has no links.
"""

_base_ = ['./base_360x480.py', '../../../configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py']
model = dict(
    architecture=dict(
        data_preprocessor=dict(size=_base_.crop_size),
        decode_head=dict(num_classes=11),
    ),
    student_input=dict(scale=0.5),
    teacher=dict(decode_head=dict(num_classes=11)),
    # made by: CAMVID_ROOT=<folder> python tools/train.py \
    #   benchmarks/configs/camvid/teacher-360x480_fpn-r18-w32.py \
    #   --work-dir work_dirs/repeat/camvid_resolution/teacher
    teacher_ckpt='work_dirs/repeat/camvid_resolution/teacher/iter_3000.pth',
)
