"""What each part of DoSe is worth on toy streets: it is left out, or another is taken.

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_streets_dose.py

The stream of adapt_streets.py with 5 pictures a condition. Two seeds: they hardly
differ.
"""

_base_ = './adapt_streets.py'
name = 'adapt_streets_dose'
title = 'Parts of DoSe, toy streets in changing weather, 10 rounds'
orders = dict(_delete_=True, forward=None)
seeds = (0, 1)
whole = _base_.methods['dose']
methods = dict(
    _delete_=True,
    source=_base_.methods['source'],
    bn_half=_base_.methods['bn_half'],
    dose=whole,
)
for key, title_, setting, value in (
    ('no_views', 'no views', 'views', None),
    ('views_seen', 'student sees the views', 'student_batch', 'views'),
    ('no_layer', 'no layer term', 'lambda_layer', 0),
    ('no_domain', 'no domain term', 'lambda_domain', 0),
    ('single', 'one domain for all', 'prototypes.domains', 'single'),
    ('detected', 'domains detected', 'prototypes.domains', 'detected'),
    ('output', 'statistics of the output', 'feature', 'output'),
    ('no_restore', 'no restore', 'restore', 0),
    ('restore_001', 'restore 0.01', 'restore', 0.01),
    ('no_replay', 'no replay', 'replay', None),
    ('soft', 'soft labels', 'labels', 'soft'),
    ('slow_teacher', 'teacher of decay 0.999', 'decay', 0.999),
    ('source_norm', "source's statistics normalise", 'mixing', 0),
    ('batch_norm', "batch's statistics normalise", 'mixing', 1),
):
    methods[key] = dict(whole, title=f'DoSe: {title_}')
    methods[key]['options'] = {f'model.distiller.{setting}': value}
# do the terms hold what the restore holds?
methods['no_restore_terms'] = dict(whole, title='DoSe: no restore, terms times 100')
methods['no_restore_terms']['options'] = {
    'model.distiller.restore': 0,
    'model.distiller.lambda_layer': 100,
    'model.distiller.lambda_domain': 100,
}
options = {'test_cfg.source_eval.interval': 10}
for number in range(4):
    options[f'test_cfg.domains.{number}.dataset.indices'] = '[0,8,16,24,32]'
del whole, key, title_, setting, value, number
