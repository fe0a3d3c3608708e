"""Which methods help a small GFL on real boxes?

BCCD_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py

The folder holds BCCD as COCO json: `images/` and `annotations/{train,val}.json`.
"""

name = 'bccd_gfl'
title = 'GFL on blood cells (BCCD) at half resolution'
runs = dict(
    teacher=dict(config='configs/bccd/teacher_gfl-r18-w24.py', once=True),
    student=dict(config='configs/bccd/student_gfl-r18-w8.py', title='student alone'),
    cwd_cls=dict(
        config='configs/bccd/cwd-cls_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='CWD, class scores',
    ),
    cwd_fpn=dict(
        config='configs/bccd/cwd-fpn_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='CWD, neck',
    ),
    fitnets_fpn=dict(
        config='configs/bccd/fitnets-fpn_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='FitNets, neck',
    ),
    fgd=dict(
        config='configs/bccd/fgd_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='FGD',
    ),
    mgd=dict(
        config='configs/bccd/mgd_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='MGD',
    ),
    pkd=dict(
        config='configs/bccd/pkd_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='PKD',
    ),
    reviewkd=dict(
        config='configs/bccd/reviewkd_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='ReviewKD',
    ),
    defeat=dict(
        config='configs/bccd/defeat_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='DeFeat',
    ),
    fgfi=dict(
        config='configs/bccd/fgfi_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='FGFI',
    ),
    kd_dense=dict(
        config='configs/bccd/kd-dense_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='KD, positive priors',
    ),
    dkd_dense=dict(
        config='configs/bccd/dkd-dense_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='DKD, positive priors',
    ),
    dist_dense=dict(
        config='configs/bccd/dist-dense_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='DIST, class scores',
    ),
    ld_main=dict(
        config='configs/bccd/ld-main_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='LD, main region',
    ),
    ld=dict(
        config='configs/bccd/ld_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='LD, VLR and classes too',
    ),
    fgd_ld=dict(
        config='configs/bccd/fgd+ld_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='FGD + LD',
    ),
)
tests = dict(val={})
seeds = (0, 1, 2)
