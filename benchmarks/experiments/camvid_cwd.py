"""Does distillation help on real street scenes, seen on a drive that nobody trained on?

CAMVID_ROOT=<folder> python tools/repeat.py benchmarks/experiments/camvid_cwd.py

The folder holds CamVid as 480 x 360 pictures with 11 classes: `images/`, `labels/` and
`splits/{train,val,dusk}.txt`.
"""

name = 'camvid_cwd'
title = 'CWD on CamVid at half resolution'
runs = dict(
    teacher=dict(config='configs/camvid/teacher_fpn-r18-w32.py', once=True),
    student=dict(config='configs/camvid/student_fpn-r18-w8.py', title='student alone'),
    distilled=dict(
        config='configs/camvid/cwd-logits_fpn-r18-w32_fpn-r18-w8.py',
        teacher='teacher',
        title='student distilled',
    ),
)
tests = dict(val={}, dusk={'test_dataloader.dataset.ann_file': 'splits/dusk.txt'})
seeds = (0, 1, 2)
