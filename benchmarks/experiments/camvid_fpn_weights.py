"""Do methods that do not help on CamVid weigh too much, or teach the wrong thing?

CAMVID_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/<this file>
--work-dir work_dirs/repeat/camvid_fpn

Those of camvid_fpn.py that are not ahead of the student alone, with a tenth of their
published weights and the seed at which they lost most. The folder is that
experiment's, so teacher and student are kept.
"""

name = 'camvid_fpn_weights'
title = 'semantic FPN on CamVid, a tenth of the published weights'
pair = 'fpn-r18-w32_fpn-r18-w8'
stage_one = {'model.distiller.connectors.encoder.checkpoint': 'ka_stage_one'}
runs = dict(
    teacher=dict(config='benchmarks/configs/camvid/teacher_fpn-r18-w32.py', once=True),
    student=dict(
        config='benchmarks/configs/camvid/student_fpn-r18-w8.py', title='student alone'
    ),
    ka_stage_one=dict(
        config=f'benchmarks/configs/camvid/ka-autoencoder_{pair}.py',
        teacher='teacher',
        once=True,
        tested=False,
        title='KA, stage one',
    ),
    **{
        f'{name}_tenth': dict(
            config=f'benchmarks/configs/camvid/{name}_{pair}.py',
            teacher='teacher',
            title=title,
            takes=stage_one if name == 'ka' else {},
            options={
                f'model.distiller.links.{link}.loss.loss_weight': weight
                for link, weight in weights.items()
            },
        )
        for name, title, weights in (
            ('cwd-feat', 'CWD, features', dict(loss_cwd=5.0)),
            ('fitnets-feat', 'FitNets', dict(loss_fitnets=1.0)),
            ('at-feat', 'AT', dict(loss_at=1e3)),
            (
                'cirkd-v2',
                'CIRKD with channels',
                dict(
                    loss_kd=0.1,
                    loss_batch=0.1,
                    loss_pixel=0.01,
                    loss_region=0.01,
                    loss_channel=0.1,
                    loss_channel_memory=0.01,
                ),
            ),
            ('ka', 'KA', dict(loss_adapt=5.0, loss_affinity=0.1)),
            ('mgd-feat', 'MGD', dict(loss_mgd=2e-6)),
        )
    },
)
tests = dict(val={})
seeds = (0,)
rare = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
del stage_one, pair
