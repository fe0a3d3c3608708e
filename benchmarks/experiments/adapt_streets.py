"""Which methods adapt a segmentor to toy streets in fog, night, rain and snow?

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_streets.py

Ten rounds, with the first seed also in the reversed order. What draws nothing at random
runs with that seed alone. Each run is a call of tools/test.py in a folder of its own
below work_dirs/grid/adapt_streets; what is done is kept.
"""

name = 'adapt_streets'
title = 'Toy streets in changing weather, 10 rounds'
source = 'configs/adapt/mmseg/source/deeplabv3plus-r18-w16_streets.py'
methods = {
    key: dict(
        config=f'configs/adapt/mmseg/{folder}/{file}_deeplabv3plus-r18-w16_streets.py',
        title=title,
        **more,
    )
    for key, folder, file, title, more in (
        ('source', 'source_only', 'source-only', 'Source', dict(once=True)),
        ('bn_stats', 'bn_stats', 'bn-stats', 'BN statistics', dict(once=True)),
        ('tent', 'tent', 'tent', 'TENT', dict(once=True)),
        ('cotta', 'cotta', 'cotta', 'CoTTA', {}),
        ('ema_teacher', 'ema_teacher', 'ema-teacher', 'EMA teacher', dict(once=True)),
        ('eata', 'eata', 'eata', 'EATA', dict(once=True)),
        ('sar', 'sar', 'sar', 'SAR', dict(once=True)),
        ('rotta', 'rotta', 'rotta', 'RoTTA', {}),
        ('diga', 'diga', 'diga', 'DIGA', dict(once=True)),
        ('dose', 'dose', 'dose', 'DoSe', {}),
    )
}
# what DoSe would do without learning
methods['bn_half'] = dict(methods['bn_stats'], title='BN statistics, half')
methods['bn_half']['options'] = {'model.distiller.mixing': 0.5}
orders = dict(forward=None, reverse=dict(order='reversed', once=True))
seeds = (0, 1, 2)
# clear streets before, in the middle and after
options = {'test_cfg.source_eval.interval': 5}
