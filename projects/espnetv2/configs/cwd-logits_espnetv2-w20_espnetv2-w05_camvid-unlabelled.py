"""CWD on the logits without labels: ESPNetv2 of width 2.0 teaches 0.5 on CamVid.

Both are as they came from Cityscapes, with its 20 outputs. The student sees pictures of
CamVid and the teacher's logits, no label; judged in CamVid's 11 classes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 3 as published.
Command: CAMVID_ROOT=... ESPNETV2_ROOT=... mmkd train CONFIG
Expected: not run yet; without training the student has 46.3 mIoU on every second
picture of val, the teacher 59.3.
Status: smoke
"""

_base_ = ['./_base_/espnetv2.py', './_base_/camvid-480x640_merged.py']
student, teacher = _base_.espnetv2.w05, _base_.espnetv2.w20
for one in (student, teacher):
    one['data_preprocessor']['size'] = _base_.crop_size
logits = 'decode_head.conv_seg'
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=student,
    student_ckpt=f'{_base_.weights}/espnetv2-w05.pth',
    teacher=teacher,
    teacher_ckpt=f'{_base_.weights}/espnetv2-w20.pth',
    calculate_student_loss=False,
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
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResize', scale=(640, 480), ratio_range=(0.75, 1.5), keep_ratio=True
    ),
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
del one, student, teacher
