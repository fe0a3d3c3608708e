"""Does the guard do no harm? Rates that are ten times too high, on ESPNetv2.

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_espnetv2_guard.py

The pictures of adapt_espnetv2_rates.py, ESPNetv2 of width 1.5, one round, a rate of
1e-3: DoSe as in the paper, with the teacher of the iteration before and the source's
statistics, and TENT with the source's statistics, each with the guard and without; and
DoSe with its default teacher, a slow average, unguarded.
"""

_base_ = './adapt_espnetv2_rates.py'
name = 'adapt_espnetv2_guard'
title = 'Rates that destroy ESPNetv2-1.5, guarded, pictures of training'
learning_rates = ()
fast = {'test_cfg.optim_wrapper.optimizer.lr': 1e-3}
methods = {
    'source': dict(
        config='projects/espnetv2/configs/source-only_espnetv2-w20_camvid-stream.py',
        title='Source',
    )
}
for key, settings in (
    ('dose', {'model.distiller.decay': 0, 'model.distiller.mixing': 0}),
    ('tent', {'model.distiller.statistics': 'source', 'model.distiller.mixing': 0}),
):
    base = dict(_base_.methods[key], learning_rates=())
    methods[key] = dict(base, options={**fast, **settings})
    guard = {'model.guard.type': 'mmkd_ext.CollapseGuard'}
    methods[f'{key}_guarded'] = dict(base, title=f'{base["title"]}, guarded')
    methods[f'{key}_guarded']['options'] = {**fast, **settings, **guard}
methods['dose_slow'] = dict(
    _base_.methods['dose'],
    title='DoSe, decay 0.99',
    learning_rates=(),
    options={**fast, 'model.distiller.mixing': 0},
)
methods['_delete_'] = True
del fast, key, settings, base, guard
