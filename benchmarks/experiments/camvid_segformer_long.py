"""Does distillation help a small SegFormer on CamVid that trains five times as long?

CAMVID_ROOT=<folder> python tools/repeat.py
benchmarks/experiments/camvid_segformer_long.py
--work-dir work_dirs/repeat/camvid_segformer

As camvid_segformer.py, with 1000 iterations instead of 200 and one seed. The folder is
that experiment's, so the teacher is kept.
"""

name = 'camvid_segformer_long'
title = 'SegFormer on CamVid at half resolution, 1000 iterations'
iterations = 1000
options = {
    'train_cfg.max_iters': iterations,
    'train_cfg.val_interval': iterations,
    'param_scheduler.1.end': iterations,
    'default_hooks.checkpoint.interval': iterations,
}
pair = 'segformer-w32_segformer-w8'
runs = dict(
    teacher=dict(config='configs/camvid/teacher_segformer-w32.py', once=True),
    student_long=dict(
        config='configs/camvid/student_segformer-w8.py',
        title='student alone',
        options=options,
    ),
    **{
        f'{name}_long': dict(
            config=f'configs/camvid/{file}_{pair}.py',
            teacher='teacher',
            title=title,
            options=options,
        )
        for name, file, title in (
            ('kd', 'kd', 'KD of pixels'),
            ('cwd_logits_tau1', 'cwd-logits-tau1', 'CWD, logits, tau 1'),
            ('dist', 'dist-logits', 'DIST'),
        )
    },
)
tests = dict(val={})
seeds = (0,)
rare = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
del iterations, options, pair
