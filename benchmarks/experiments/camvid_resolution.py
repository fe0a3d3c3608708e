"""How much of what a smaller picture costs does a teacher of the large one give back?

CAMVID_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/<this file>

A student of 240 x 180 is tested at that size, and judged at 480 x 360 as all are. Gains
are over the small student alone; the large one says what there is to win. Then

    python benchmarks/plot_speed.py benchmarks/results/camvid_resolution.json \
        --large 360 480 --small 180 240 --exclude teacher

draws accuracy over images a second.
"""

name = 'camvid_resolution'
title = 'semantic FPN on CamVid, 480 x 360 teaches 240 x 180'
configs = 'benchmarks/configs/camvid'
runs = dict(
    teacher=dict(
        config=f'{configs}/teacher-360x480_fpn-r18-w32.py',
        title='teacher, 480 x 360',
        once=True,
    ),
    small=dict(
        config=f'{configs}/student_fpn-r18-w8.py', title='student alone, 240 x 180'
    ),
    large=dict(
        config=f'{configs}/student-360x480_fpn-r18-w8.py',
        title='student alone, 480 x 360',
    ),
    kd=dict(
        config=f'{configs}/rakd-kd_fpn-r18-w32_fpn-r18-w8.py',
        teacher='teacher',
        title='240 x 180, KD of pixels',
    ),
    rakd=dict(
        config=f'{configs}/rakd_fpn-r18-w32_fpn-r18-w8.py',
        teacher='teacher',
        title='240 x 180, all terms',
    ),
)
tests = dict(
    val={},
    dusk={'test_dataloader.dataset.ann_file': 'splits/dusk.txt'},
)
seeds = (0, 1, 2)
rare = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
del configs
