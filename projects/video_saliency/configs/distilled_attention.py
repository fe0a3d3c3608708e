"""Two teachers, one student: its branches learn first, then all of it.

Stage one trains each branch by the map of its teacher alone, stage two adds the labels.

Paper: Spatiotemporal Knowledge Distillation for Efficient Estimation of Aerial Video
Saliency, TIP 2020, https://arxiv.org/abs/1904.04992; inspired by its abstract. The links
are CWD, ICCV 2021, https://arxiv.org/abs/2011.13256, which suits maps.
Command: mmkd train CONFIG
Expected: see benchmarks/results/video_saliency.json.
Status: measured
"""

_base_ = './student_attention.py'
branches = ('spatial', 'temporal')
stage_one = 100
model = dict(
    _delete_=True,
    type='mmkd_ext.TeacherDistill',
    architecture=_base_.model,
    # made by: mmkd train projects/video_saliency/configs/teacher-spatial_attention.py
    teachers={
        name: dict(
            model=dict(
                type='mmkd_ext.SaliencyNet', branches=[name], width=16, depth=5
            ),
            ckpt=f'work_dirs/teacher-{name}_attention/iter_300.pth',
        )
        for name in branches
    },
    calculate_student_loss=dict(type='constant', begin=stage_one),
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links={
            f'loss_{name}': dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=1.0),
                preds_S=dict(of='student', at=name, item=1),
                preds_T=dict(of=name, at=name, item=1),
            )
            for name in branches
        },
    ),
)
