"""Which methods help a small RetinaNet on real boxes?

BCCD_ROOT=<folder> python tools/repeat.py benchmarks/experiments/bccd_retinanet.py

The folder holds BCCD as COCO json: `images/` and `annotations/{train,val}.json`.
"""

name = 'bccd_retinanet'
title = 'RetinaNet on blood cells (BCCD) at half resolution'
runs = dict(
    teacher=dict(config='configs/bccd/teacher_retinanet-r18-w24.py', once=True),
    student=dict(
        config='configs/bccd/student_retinanet-r18-w8.py', title='student alone'
    ),
    cwd_fpn=dict(
        config='configs/bccd/cwd-fpn_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='CWD, neck',
    ),
    fitnets_fpn=dict(
        config='configs/bccd/fitnets-fpn_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='FitNets, neck',
    ),
    fgd=dict(
        config='configs/bccd/fgd_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='FGD',
    ),
    mgd=dict(
        config='configs/bccd/mgd_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='MGD',
    ),
    pkd=dict(
        config='configs/bccd/pkd_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='PKD',
    ),
    reviewkd=dict(
        config='configs/bccd/reviewkd_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='ReviewKD',
    ),
    defeat=dict(
        config='configs/bccd/defeat_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='DeFeat',
    ),
    fgfi=dict(
        config='configs/bccd/fgfi_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='FGFI',
    ),
    dkd_dense=dict(
        config='configs/bccd/dkd-dense_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='DKD, positive priors',
    ),
    dist_dense=dict(
        config='configs/bccd/dist-dense_retinanet-r18-w24_retinanet-r18-w8.py',
        teacher='teacher',
        title='DIST, class scores',
    ),
)
tests = dict(val={})
seeds = (0, 1, 2)
