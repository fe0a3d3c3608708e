"""A teacher that sees the clear street while the student sees it in rain: toy streets.

Paper: Cross Modal Distillation for Supervision Transfer, CVPR 2016,
https://arxiv.org/abs/1507.00448: a teacher with another view of the same scene. Loss and
weights as in distilled.py.
Command: python tools/train.py benchmarks/configs/demo/cross-modal.py
Expected: nobody has published this; not measured.
Status: unrun
"""

_base_ = [
    '../../../configs/_base_/tasks/streets_demo.py',
    '../../../configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
in_rain = [
    dict(type='mmkd_ext.Corrupt', kind='rain', severity=4),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.train_pipeline[:-1],
            dict(type='mmkd_ext.KeepInput', key='clear', transforms=in_rain),
        ]
    )
)
val_dataloader = dict(dataset=dict(pipeline=[*_base_.test_pipeline[:-1], *in_rain]))
test_dataloader = dict(dataset=dict(pipeline=[*_base_.test_pipeline[:-1], *in_rain]))
logits = 'decode_head.conv_seg'
model = dict(
    architecture=dict(data_preprocessor=dict(size=_base_.crop_size)),
    teacher=None,
    teachers=dict(
        clear=dict(
            model=_base_.model.teacher,
            # made by: python tools/train.py benchmarks/configs/demo/teacher.py \
            #   --work-dir work_dirs/demo/teacher
            ckpt='work_dirs/demo/teacher/iter_800.pth',
            input='clear',
        )
    ),
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=3.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='clear', at=logits),
            )
        ),
    ),
)
