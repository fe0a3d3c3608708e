"""Which methods help a small semantic FPN on a drive that nobody trained on?

CAMVID_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py

The folder holds CamVid as 480 x 360 pictures with 11 classes: `images/`, `labels/` and
`splits/{train,val,dusk}.txt`. The student alone stands there twice: with the schedule
of all, and with as many iterations more as a distilled one takes longer for. Where
`camvid_fpn_weights.py` chose another weight than the published one, both stand there.
"""

name = 'camvid_fpn'
title = 'semantic FPN on CamVid at half resolution'
student = 'benchmarks/configs/camvid/student_fpn-r18-w8.py'
runs = dict(
    teacher=dict(config='benchmarks/configs/camvid/teacher_fpn-r18-w32.py', once=True),
    student=dict(config=student, title='student alone'),
    student_long=dict(
        config=student,
        title='student alone, 4,500 iterations',
        options={
            'train_cfg.max_iters': 4500,
            'train_cfg.val_interval': 4500,
            'param_scheduler.1.end': 4500,
            'default_hooks.checkpoint.interval': 4500,
        },
    ),
    **{
        name: dict(
            config=f'benchmarks/configs/camvid/{file}_fpn-r18-w32_fpn-r18-w8.py',
            teacher='teacher',
            title=title,
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
    },
)
# the best of a tenth, a third, once and three times the published weights
for chosen, factor in (('cwd_logits', 0.1), ('kd', 3.0), ('mgd', 3.0)):
    title_ = f'{runs[chosen]["title"]} x {factor:g}'
    runs[f'{chosen}_best'] = dict(runs[chosen], title=title_, weight_factor=factor)
tests = dict(
    val={},
    dusk={'test_dataloader.dataset.ann_file': 'splits/dusk.txt'},
)
seeds = (0, 1, 2)
# each below 1.5 % of the labelled pixels of the training pictures
rare = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
del student, chosen, factor, title_
