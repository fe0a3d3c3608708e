"""What the distillations of semantic FPN on CamVid share: task, pair, teacher's weights.

Not to be run itself: it has no links.
"""

_base_ = [
    '../../../configs/_base_/tasks/camvid-180x240.py',
    '../../../configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
model = dict(
    architecture=dict(
        data_preprocessor=dict(size=_base_.crop_size),
        decode_head=dict(num_classes=11),
    ),
    teacher=dict(decode_head=dict(num_classes=11)),
    # made by: CAMVID_ROOT=<folder> python tools/train.py \
    #   benchmarks/configs/camvid/teacher_fpn-r18-w32.py \
    #   --work-dir work_dirs/repeat/camvid_fpn/teacher
    teacher_ckpt='work_dirs/repeat/camvid_fpn/teacher/iter_3000.pth',
)
