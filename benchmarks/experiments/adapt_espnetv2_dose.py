"""What each part of DoSe is worth on ESPNetv2: it is left out, or another is taken.

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_espnetv2_dose.py

The pictures of adapt_espnetv2_rates.py, ESPNetv2 of width 1.5, one round.
"""

_base_ = './adapt_espnetv2_rates.py'
name = 'adapt_espnetv2_dose'
title = 'Parts of DoSe, ESPNetv2-1.5, pictures of training'
learning_rates = ()
whole = dict(_base_.methods['dose'], learning_rates=())
methods = dict(_delete_=True, dose=whole)
for key, title_, setting, value in (
    ('paper', 'teacher of the iteration before', 'decay', 0),
    ('no_views', 'no views', 'views', None),
    ('no_restore', 'no restore', 'restore', 0),
    ('restore_001', 'restore 0.01', 'restore', 0.01),
    ('all', 'all weights trained', 'trainable', 'all'),
    ('soft', 'soft labels', 'labels', 'soft'),
    ('sure', 'labels surer than 0.9', 'threshold', 0.9),
    ('no_layer', 'no layer term', 'lambda_layer', 0),
    ('no_domain', 'no domain term', 'lambda_domain', 0),
    ('no_replay', 'no replay', 'replay', None),
    ('source_norm', "source's statistics normalise", 'mixing', 0),
    ('fifth', 'a fifth of the picture normalises', 'mixing', 0.2),
):
    methods[key] = dict(whole, title=f'DoSe: {title_}')
    methods[key]['options'] = {f'model.distiller.{setting}': value}
del whole, key, title_, setting, value
