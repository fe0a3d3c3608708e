"""What the distillations of semantic FPN on CamVid share: task, pair, teacher's weights.

Not to be run itself: it has no links.
"""

_base_ = [
    '../_base_/tasks/camvid-180x240.py',
    '../_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
model = dict(
    architecture=dict(
        data_preprocessor=dict(size=_base_.crop_size),
        decode_head=dict(num_classes=11),
    ),
    teacher=dict(decode_head=dict(num_classes=11)),
    teacher_ckpt='work_dirs/repeat/camvid_fpn/teacher/iter_1500.pth',
)
