"""Does a large ESPNetv2 teach a small one CamVid, with labels and without?

CAMVID_ROOT=<folder> ESPNETV2_ROOT=<folder> \
    python benchmarks/repeat.py benchmarks/experiments/camvid_espnetv2.py

ESPNETV2_ROOT holds the converted weights of projects/espnetv2. With labels the 11
classes of CamVid are learned; without, the student keeps the 20 outputs of Cityscapes,
sees the teacher's answers alone and is judged through the map of the classes.
"""

name = 'camvid_espnetv2'
title = 'ESPNetv2 2.0 teaches 0.5, from Cityscapes to CamVid'
configs = 'projects/espnetv2/configs'
pair = 'espnetv2-w20_espnetv2-w05_camvid'
runs = dict(
    teacher=dict(config=f'{configs}/teacher_espnetv2-w20_camvid.py', once=True),
    student=dict(
        config=f'{configs}/student_espnetv2-w05_camvid.py',
        title='student alone, labels',
    ),
    cwd=dict(
        config=f'{configs}/cwd-logits_{pair}.py',
        teacher='teacher',
        title='CWD, labels',
    ),
    cwd_unlabelled=dict(
        config=f'{configs}/cwd-logits_{pair}-unlabelled.py',
        title='CWD from the Cityscapes teacher, no labels',
    ),
    kd=dict(
        config=f'{configs}/kd-logits_{pair}.py', teacher='teacher', title='KD, labels'
    ),
    kd_unlabelled=dict(
        config=f'{configs}/kd-logits_{pair}-unlabelled.py',
        title='KD from the Cityscapes teacher, no labels',
    ),
    dist=dict(
        config=f'{configs}/dist-logits_{pair}.py',
        teacher='teacher',
        title='DIST, labels',
    ),
    dkd=dict(
        config=f'{configs}/dkd-logits_{pair}.py', teacher='teacher', title='DKD, labels'
    ),
)
tests = dict(
    val={},
    dusk={'test_dataloader.dataset.ann_file': 'splits/dusk.txt'},
)
seeds = (0, 1, 2)
rare = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
del configs, pair
