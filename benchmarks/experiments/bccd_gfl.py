"""Which methods help a small GFL on real boxes?

BCCD_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py

The folder holds BCCD as COCO json: `images/` and `annotations/{train,val}.json`. Where
`bccd_gfl_weights.py` chose another weight than the published one, both stand there.
"""

name = 'bccd_gfl'
title = 'GFL on blood cells (BCCD) at half resolution'
runs = dict(
    teacher=dict(config='benchmarks/configs/bccd/teacher_gfl-r18-w24.py', once=True),
    student=dict(
        config='benchmarks/configs/bccd/student_gfl-r18-w8.py', title='student alone'
    ),
    cwd_cls=dict(
        config='benchmarks/configs/bccd/cwd-cls_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='CWD, class scores',
    ),
    cwd_fpn=dict(
        config='benchmarks/configs/bccd/cwd-fpn_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='CWD, neck',
    ),
    fitnets_fpn=dict(
        config='benchmarks/configs/bccd/fitnets-fpn_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='FitNets, neck',
    ),
    fgd=dict(
        config='benchmarks/configs/bccd/fgd_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='FGD',
    ),
    mgd=dict(
        config='benchmarks/configs/bccd/mgd_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='MGD',
    ),
    pkd=dict(
        config='benchmarks/configs/bccd/pkd_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='PKD',
    ),
    reviewkd=dict(
        config='benchmarks/configs/bccd/reviewkd_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='ReviewKD',
    ),
    defeat=dict(
        config='benchmarks/configs/bccd/defeat_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='DeFeat',
    ),
    fgfi=dict(
        config='benchmarks/configs/bccd/fgfi_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='FGFI',
    ),
    kd_dense=dict(
        config='benchmarks/configs/bccd/kd-dense_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='KD, positive priors',
    ),
    dkd_dense=dict(
        config='benchmarks/configs/bccd/dkd-dense_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='DKD, positive priors',
    ),
    dist_dense=dict(
        config='benchmarks/configs/bccd/dist-dense_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='DIST, class scores',
    ),
    ld_main=dict(
        config='benchmarks/configs/bccd/ld-main_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='LD, main region',
    ),
    ld=dict(
        config='benchmarks/configs/bccd/ld_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='LD, VLR and classes too',
    ),
    fgd_ld=dict(
        config='benchmarks/configs/bccd/fgd+ld_gfl-r18-w24_gfl-r18-w8.py',
        teacher='teacher',
        title='FGD + LD',
    ),
)
# the best of a tenth, a third, once and three times the published weights
for chosen, factor in (('ld', 0.33), ('mgd', 3.0)):
    title_ = f'{runs[chosen]["title"]} x {factor:g}'
    runs[f'{chosen}_best'] = dict(runs[chosen], title=title_, weight_factor=factor)
tests = dict(val={})
seeds = (0, 1, 2)
del chosen, factor, title_
