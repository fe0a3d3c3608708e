r"""What does int8 cost a small semantic FPN, and does a teacher give it back?

CAMVID_ROOT=<folder> python benchmarks/repeat.py \
    benchmarks/experiments/camvid_fpn_int8.py

`camvid_fpn.py` says what the folder holds. Float students, alone and distilled; the
same after quantisation without training, which only looks at 50 batches; and students
that are quantised from half of the schedule on, alone and under distillation.
"""

name = 'camvid_fpn_int8'
title = 'semantic FPN on CamVid, in float32 and in int8'
folder = 'benchmarks/configs/camvid'
# the third hook is QuantizeHook
calibration = {
    'train_cfg.max_iters': 50,
    'train_cfg.val_interval': 50,
    'optim_wrapper.optimizer.lr': 0.0,
    'param_scheduler.1.eta_min': 0.0,
    'custom_hooks.2.start': 0,
    'custom_hooks.2.freeze': 50,
    'custom_hooks.2.freeze_norms': 0,
}
alone = f'{folder}/student-int8_fpn-r18-w8.py'
distilled = f'{folder}/cwd-logits-int8_fpn-r18-w32_fpn-r18-w8.py'
runs = dict(
    teacher=dict(config=f'{folder}/teacher_fpn-r18-w32.py', once=True),
    student=dict(config=f'{folder}/student_fpn-r18-w8.py', title='student, float'),
    cwd=dict(
        config=f'{folder}/cwd-logits_fpn-r18-w32_fpn-r18-w8.py',
        teacher='teacher',
        title='CWD, float',
    ),
    student_after=dict(
        config=alone,
        takes={'load_from': 'student'},
        options=calibration,
        title='student, int8 after training',
    ),
    cwd_after=dict(
        config=distilled,
        teacher='teacher',
        takes={'model.student_ckpt': 'cwd'},
        options=calibration,
        title='CWD, int8 after training',
    ),
    student_int8=dict(config=alone, title='student, trained in int8'),
    cwd_int8=dict(config=distilled, teacher='teacher', title='CWD, trained in int8'),
)
tests = dict(
    val={},
    dusk={'test_dataloader.dataset.ann_file': 'splits/dusk.txt'},
)
seeds = (0, 1, 2)
rare = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
del folder, calibration, alone, distilled
