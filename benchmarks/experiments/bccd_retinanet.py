"""Which methods help a small RetinaNet on real boxes?

BCCD_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/bccd_retinanet.py

The folder holds BCCD as COCO json: `images/` and `annotations/{train,val}.json`.
"""

name = 'bccd_retinanet'
title = 'RetinaNet on blood cells (BCCD) at half resolution'
runs = dict(
    teacher=dict(
        config='benchmarks/configs/bccd/teacher_retinanet-r18-w24.py', once=True
    ),
    student=dict(
        config='benchmarks/configs/bccd/student_retinanet-r18-w8.py',
        title='student alone',
    ),
    cwd_fpn=dict(
        config='benchmarks/configs/bccd/cwd-fpn_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='CWD, neck',
    ),
    fgd=dict(
        config='benchmarks/configs/bccd/fgd_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='FGD',
    ),
    mgd=dict(
        config='benchmarks/configs/bccd/mgd_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='MGD',
    ),
    pkd=dict(
        config='benchmarks/configs/bccd/pkd_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='PKD',
    ),
)
tests = dict(val={})
seeds = (0, 1, 2)
