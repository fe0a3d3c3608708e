"""What does a guard see of methods that last, and of those that do not?

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_streets_guard.py

On drives that no table reports, sixty rounds of 3 pictures a condition. The guard
watches and does nothing; what it saw is in the timeline of each run's results.json, and
drawn on its page (tools/adapt_report.py). The committed results are those of an earlier
guard, which compared entropy, classes and agreement over a window.
"""

_base_ = './adapt_streets.py'
name = 'adapt_streets_guard'
title = 'Toy streets, other drives: what the guard sees in 60 rounds'
orders = dict(_delete_=True, forward=None)
seeds = (0,)
methods = {key: _base_.methods[key] for key in ('tent', 'sar', 'eata', 'dose')}
for kind, rate in (('tent', 1e-2), ('dose', 1e-2)):
    base = _base_.methods[kind]
    methods[f'{kind}_fast'] = dict(base, title=f'{base["title"]}, rate {rate:g}')
    methods[f'{kind}_fast']['options'] = {'test_cfg.optim_wrapper.optimizer.lr': rate}
methods['_delete_'] = True
options = {
    '_delete_': True,
    'test_cfg.rounds': 60,
    'test_cfg.source_eval.interval': 60,
    # a worker for three pictures takes longer to start than to read them
    'test_dataloader.num_workers': 0,
    'model.guard.type': 'mmkd_ext.CollapseGuard',
    'model.guard.limit': 0.99,
}
for number in range(4):
    options[f'test_cfg.domains.{number}.dataset.split'] = 'val'
    options[f'test_cfg.domains.{number}.dataset.indices'] = '[0,8,16]'
del kind, rate, base, number
