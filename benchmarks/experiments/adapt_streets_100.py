"""Do methods of adaptation last? A hundred rounds, with the guard and without.

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_streets_100.py

The streams of adapt_streets.py with 3 pictures a condition, and the clear streets after
each 50th round. One seed: what is asked is whether a run falls apart, not by how much
one is ahead of another. The committed results are those of an earlier guard, which
watched a window of 32 images.
"""

_base_ = './adapt_streets.py'
name = 'adapt_streets_100'
title = 'Toy streets in changing weather, 100 rounds'
orders = dict(_delete_=True, forward=None)
seeds = (0,)
guard = {'model.guard.type': 'mmkd_ext.CollapseGuard'}
methods = dict(_delete_=True, source=_base_.methods['source'])
for kind in ('tent', 'dose', 'cotta'):
    base = _base_.methods[kind]
    methods[kind] = base
    methods[f'{kind}_guarded'] = dict(base, title=f'{base["title"]}, guarded')
    methods[f'{kind}_guarded']['options'] = guard
# and one that is too fast
fast = {'test_cfg.optim_wrapper.optimizer.lr': 1e-2}
methods['tent_fast'] = dict(_base_.methods['tent'], title='TENT, ten times the rate')
methods['tent_fast']['options'] = fast
methods['tent_fast_guarded'] = dict(
    _base_.methods['tent'], title='TENT, ten times the rate, guarded'
)
methods['tent_fast_guarded']['options'] = dict(fast, **guard)
options = {'test_cfg.rounds': 100, 'test_cfg.source_eval.interval': 50}
for number in range(4):
    options[f'test_cfg.domains.{number}.dataset.indices'] = '[0,12,24]'
del guard, fast, kind, base, number
