"""How much should each method weigh? Chosen on pictures that no table reports.

CAMVID_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/<this file>

The last 60 training pictures are kept aside, from the teacher too. Every method gets a
tenth, a third, once and three times its published weights, half the iterations of the
final runs, one seed; `camvid_fpn.py` then trains with the best of them.
"""

name = 'camvid_fpn_weights'
title = 'semantic FPN on CamVid, weights on pictures kept aside from training'
runs = dict(
    teacher=dict(config='benchmarks/configs/camvid/teacher_fpn-r18-w32.py', once=True),
    student=dict(
        config='benchmarks/configs/camvid/student_fpn-r18-w8.py',
        title='student alone',
        options={
            'train_cfg.max_iters': 1000,
            'train_cfg.val_interval': 1000,
            'param_scheduler.1.end': 1000,
            'default_hooks.checkpoint.interval': 1000,
        },
    ),
    **{
        f'{name}_{label}': dict(
            config=f'benchmarks/configs/camvid/{file}_fpn-r18-w32_fpn-r18-w8.py',
            teacher='teacher',
            title=f'{title} x {label}',
            weight_factor=factor,
            options={
                'train_cfg.max_iters': 1000,
                'train_cfg.val_interval': 1000,
                'param_scheduler.1.end': 1000,
                'default_hooks.checkpoint.interval': 1000,
            },
        )
        for name, (file, title) in dict(
            cwd_logits=('cwd-logits', 'CWD, logits'),
            kd=('kd', 'KD of pixels'),
            dist=('dist-logits', 'DIST'),
            mgd=('mgd-feat', 'MGD'),
            fitnets=('fitnets-feat', 'FitNets'),
            cwd_feat=('cwd-feat', 'CWD, features'),
            at=('at-feat', 'AT'),
            dkd=('dkd-logits', 'DKD per pixel'),
            reviewkd=('reviewkd-backbone', 'ReviewKD'),
            skds=('skds', 'SKDS, pixel and pair-wise'),
            ifvd=('ifvd', 'IFVD'),
            cirkd=('cirkd', 'CIRKD'),
        ).items()
        for label, factor in (
            ('tenth', 0.1),
            ('third', 0.33),
            ('once', 1.0),
            ('thrice', 3.0),
        )
    },
)
options = {'train_dataloader.dataset.indices': 248}
tests = dict(
    kept_aside={
        'test_dataloader.dataset.ann_file': 'splits/train.txt',
        'test_dataloader.dataset.indices': -60,
    }
)
seeds = (0,)
