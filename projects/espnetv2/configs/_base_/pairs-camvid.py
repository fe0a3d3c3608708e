"""ESPNetv2 of width 2.0 teaches 0.5 on CamVid, with labels and without.

`labelled`: both have 11 classes; the teacher was fine-tuned first, by
teacher_espnetv2-w20_camvid.py. `unlabelled`: both are as they came from Cityscapes, with
its 20 outputs; the student sees pictures and the teacher's answers alone.
"""

_base_ = ['./espnetv2.py']
student, teacher = _base_.espnetv2.w05, _base_.espnetv2.w20
for one in (student, teacher):
    one['data_preprocessor']['size'] = (288, 384)  # the crops of camvid-480x640.py
unlabelled = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=student,
    student_ckpt=f'{_base_.weights}/espnetv2-w05.pth',
    teacher=teacher,
    teacher_ckpt=f'{_base_.weights}/espnetv2-w20.pth',
    calculate_student_loss=False,
)
labelled = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        student, decode_head=dict(student['decode_head'], num_classes=11)
    ),
    student_ckpt=f'{_base_.weights}/espnetv2-w05.pth',
    teacher=dict(teacher, decode_head=dict(teacher['decode_head'], num_classes=11)),
    teacher_ckpt='work_dirs/teacher_espnetv2-w20_camvid/iter_600.pth',
)
del student, teacher, one
