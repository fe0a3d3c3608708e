"""How much should a method weigh for GFL on BCCD? Chosen on pictures kept aside.

BCCD_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/<this file>

The last 40 of the 205 training pictures are kept aside from the students, two thirds of
the iterations of the final runs, one seed; `bccd_gfl.py` then trains with the best. The
teacher is that of `bccd_gfl.py`, which saw all pictures: it does not answer for those
kept aside, and it is the same for all weights.
"""

name = 'bccd_gfl_weights'
title = 'GFL on BCCD, weights on pictures kept aside from training'
configs = 'benchmarks/configs/bccd'
short = {
    'train_cfg.max_iters': 1000,
    'param_scheduler.1.end': 1000,
    'train_dataloader.dataset.indices': 165,
}
runs = dict(
    teacher=dict(
        config=f'{configs}/teacher_gfl-r18-w24.py',
        once=True,
        checkpoint='work_dirs/repeat/bccd_gfl/teacher/iter_3000.pth',
    ),
    student=dict(
        config=f'{configs}/student_gfl-r18-w8.py', title='student alone', options=short
    ),
    **{
        f'{name}_{label}': dict(
            config=f'{configs}/{name}_gfl-r18-w24_gfl-r18-w8.py',
            teacher='teacher',
            title=f'{title} x {label}',
            weight_factor=factor,
            options=short,
        )
        for name, title in dict(ld='LD', mgd='MGD', fgd='FGD').items()
        for label, factor in (
            ('tenth', 0.1),
            ('third', 0.33),
            ('once', 1.0),
            ('thrice', 3.0),
        )
    },
)
tests = dict(
    kept_aside={
        'test_dataloader.dataset.ann_file': 'annotations/train.json',
        'test_dataloader.dataset.indices': -40,
        # the truth comes with the pictures: the file has all 205
        'test_dataloader.dataset.pipeline.3.meta_keys': (
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'instances',
        ),
        'test_evaluator.ann_file': None,
    }
)
seeds = (0,)
del configs, short
