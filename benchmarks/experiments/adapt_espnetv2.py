"""Which methods adapt a network that others trained, to a real drive at dusk?

python benchmarks/adapt_grid.py benchmarks/experiments/<this file>

ESPNetv2 of width 2.0 with its author's Cityscapes weights, looked for in
``$ESPNETV2_ROOT``, on CamVid in ``$CAMVID_ROOT``; nothing was trained on CamVid. Six
pictures of the day clip, by day and in drawn weather, and six of the dusk drive, two
rounds, pictures at 512 x 256. The rates are from
adapt_espnetv2_rates.py; `auto` finds the share of the picture's statistics in batch
normalisation by itself. The other widths are adapt_espnetv2_w{05,10,15}.py.
"""

name = 'adapt_espnetv2'
title = 'ESPNetv2-2.0 from Cityscapes on CamVid: day, dusk, drawn weather, 2 rounds'
checkpoint = '{{$ESPNETV2_ROOT:data/espnetv2}}/espnetv2-w20.pth'
folder = 'projects/espnetv2/configs'
methods = {
    key: dict(
        config=f'{folder}/{file}_espnetv2-w20_camvid-stream.py', title=title_, **more
    )
    for key, file, title_, more in (
        ('source', 'source-only', 'Source', dict(once=True)),
        ('dose', 'dose', 'DoSe', {}),
        ('bn_auto', 'bn-stats', 'BN statistics, auto', dict(once=True)),
        ('ema_teacher', 'ema-teacher', 'EMA teacher', dict(once=True)),
        ('cotta', 'cotta', 'CoTTA', {}),
        ('tent', 'tent', 'TENT', dict(once=True)),
        ('diga', 'diga', 'DIGA', dict(once=True)),
        ('eata', 'eata', 'EATA', dict(once=True)),
        ('sar', 'sar', 'SAR', dict(once=True)),
        ('rotta', 'rotta', 'RoTTA', {}),
    )
}
for key, share in (('bn_20', 0.2), ('bn_100', 1.0)):
    methods[key] = dict(methods['bn_auto'], title=f'BN statistics, {share:g}')
    methods[key]['options'] = {'model.distiller.mixing': share}
guard = {'model.guard.type': 'mmkd_ext.CollapseGuard'}
fast = {'test_cfg.optim_wrapper.optimizer.lr': 1e-3}
for key, beside, settings in (
    ('dose', 'decay 0, rate 0.001', {**fast, 'model.distiller.decay': 0}),
    ('tent', 'rate 0.001', fast),
):
    title_ = f'{methods[key]["title"]}, {beside}'
    methods[f'{key}_fast'] = dict(
        methods[key], title=title_, once=True, options=settings
    )
    methods[f'{key}_fast_guarded'] = dict(
        methods[key],
        title=f'{title_}, guarded',
        once=True,
        options={**settings, **guard},
    )
methods['tent_guarded'] = dict(methods['tent'], title='TENT, guarded', options=guard)
seeds = (0,)
options = {
    'test_cfg.rounds': 2,
    'test_cfg.pictures': False,
    'test_dataloader.num_workers': 0,
}
for number, pictures in enumerate((101, 62, 101, 101, 101, 101)):
    kept = ','.join(map(str, range(0, pictures, 11 if number == 1 else 18)))
    options[f'test_cfg.domains.{number}.dataset.indices'] = f'[{kept}]'
del folder, key, share, guard, fast, beside, settings, title_, number, pictures, kept
