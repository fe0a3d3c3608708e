"""Which methods help a small semantic FPN on a drive that nobody trained on?

CAMVID_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py

The folder holds CamVid as 480 x 360 pictures with 11 classes: `images/`, `labels/` and
`splits/{train,val,dusk}.txt`.
"""

name = 'camvid_fpn'
title = 'semantic FPN on CamVid at half resolution'
stage_one = {'model.distiller.connectors.encoder.checkpoint': 'ka_stage_one'}
runs = dict(
    teacher=dict(config='benchmarks/configs/camvid/teacher_fpn-r18-w32.py', once=True),
    student=dict(
        config='benchmarks/configs/camvid/student_fpn-r18-w8.py', title='student alone'
    ),
    ka_stage_one=dict(
        config='benchmarks/configs/camvid/ka-autoencoder_fpn-r18-w32_fpn-r18-w8.py',
        teacher='teacher',
        once=True,
        tested=False,
        title='KA, stage one',
    ),
    **{
        name: dict(
            config=f'benchmarks/configs/camvid/{file}_fpn-r18-w32_fpn-r18-w8.py',
            teacher='teacher',
            title=title,
            takes=stage_one if name == 'ka' else {},
        )
        for name, (file, title) in dict(
            kd=('kd', 'KD of pixels'),
            cwd_logits=('cwd-logits', 'CWD, logits'),
            cwd_logits_tau1=('cwd-logits-tau1', 'CWD, logits, tau 1'),
            cwd_feat=('cwd-feat', 'CWD, features'),
            fitnets=('fitnets-feat', 'FitNets'),
            at=('at-feat', 'AT'),
            skds=('skds', 'SKDS, pixel and pair-wise'),
            ifvd=('ifvd', 'IFVD'),
            skds_holistic=('skds-holistic', 'SKDS, all three terms'),
            cirkd=('cirkd', 'CIRKD'),
            cirkd_v2=('cirkd-v2', 'CIRKD with channels'),
            ka=('ka', 'KA'),
            reviewkd=('reviewkd-backbone', 'ReviewKD'),
            dist=('dist-logits', 'DIST'),
            dkd=('dkd-logits', 'DKD per pixel'),
            mgd=('mgd-feat', 'MGD'),
        ).items()
    },
)
tests = dict(val={})
seeds = (0, 1, 2)
# each below 1.5 % of the labelled pixels of the training pictures
rare = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
del stage_one
