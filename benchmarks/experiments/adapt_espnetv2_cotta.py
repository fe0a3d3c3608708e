"""What holds CoTTA back on short streams: decay, views, anchor, restore, statistics?

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_espnetv2_cotta.py

The pictures of adapt_espnetv2_rates.py, ESPNetv2 of width 1.5, one round; one thing at
a time is taken back from a CoTTA of decay 0.99 with the mirror image as its only view.
"""

_base_ = './adapt_espnetv2_rates.py'
name = 'adapt_espnetv2_cotta'
title = 'Parts of CoTTA, ESPNetv2-1.5, pictures of training'
learning_rates = ()
whole = dict(_base_.methods['cotta'], learning_rates=())
methods = dict(_delete_=True, cotta=whole)
for key, title_, settings in (
    ('decay_999', 'decay 0.999', dict(decay=0.999)),
    ('rate', 'rate 7.5e-6', {}),
    ('no_flip', 'no views', dict(views=None)),
    ('small', 'scales 0.5 and 0.75', dict(views=[1.0, 0.5, 0.75], min_view_side=1)),
    ('large', 'scales 1.25 and 1.5', dict(views=[1.0, 1.25, 1.5])),
    ('no_anchor', 'no anchor, always the mean', dict(threshold=1.0)),
    ('all_anchor', 'always the single view', dict(threshold=0.0)),
    ('no_restore', 'no restore', dict(restore=0.0)),
    ('restore_10', 'restore 0.1', dict(restore=0.1)),
    ('source_norm', "source's statistics", dict(mixing=0.0)),
):
    methods[key] = dict(whole, title=f'CoTTA: {title_}')
    methods[key]['options'] = {
        f'model.distiller.{name_}': value for name_, value in settings.items()
    }
methods['rate']['options'] = {'test_cfg.optim_wrapper.optimizer.lr': 7.5e-6}
del whole, key, title_, settings
