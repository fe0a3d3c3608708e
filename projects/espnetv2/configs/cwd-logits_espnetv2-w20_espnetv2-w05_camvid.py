"""CWD on the logits: ESPNetv2 of width 2.0 teaches 0.5 the 11 classes of CamVid.

Both start from Cityscapes; the teacher was fine-tuned first, by
teacher_espnetv2-w20_camvid.py.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 3 as published.
Command: CAMVID_ROOT=... ESPNETV2_ROOT=... mmkd train CONFIG
Expected: not run yet.
Status: smoke
"""

_base_ = ['./_base_/espnetv2.py', './_base_/camvid-480x640.py']
student, teacher = _base_.espnetv2.w05, _base_.espnetv2.w20
for one in (student, teacher):
    one['data_preprocessor']['size'] = _base_.crop_size
    one['decode_head']['num_classes'] = 11
logits = 'decode_head.conv_seg'
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=student,
    student_ckpt=f'{_base_.weights}/espnetv2-w05.pth',
    teacher=teacher,
    teacher_ckpt='work_dirs/teacher_espnetv2-w20_camvid/iter_1000.pth',
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            )
        ),
    ),
)
del one, student, teacher
