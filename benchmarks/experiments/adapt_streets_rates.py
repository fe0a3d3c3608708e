"""The learning rate of each method, chosen on streets that no table reports.

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_streets_rates.py

Val drives of the toy streets, three rounds, one seed; the same rates for all methods.
Normalisation of DoSe is chosen here too: none of the paper's text that we know says
whose statistics normalise. What comes out goes into the configs of streets and CamVid.
"""

_base_ = './adapt_streets.py'
name = 'adapt_streets_rates'
title = 'Toy streets, other drives: learning rates'
learning_rates = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
orders = dict(_delete_=True, forward=None)
seeds = (0,)
methods = {
    key: dict(_base_.methods['dose'], title=f'DoSe, mixing {mixing:g}',
               options={'model.distiller.mixing': mixing})
    for key, mixing in (('dose', 0.0), ('dose_half', 0.5), ('dose_batch', 1.0))
}
for untrained in ('source', 'bn_stats', 'bn_half', 'diga'):
    methods[untrained] = dict(learning_rates=())
options = {'_delete_': True, 'test_cfg.rounds': 3}
for number in range(4):
    options[f'test_cfg.domains.{number}.dataset.split'] = 'val'
    options[f'test_cfg.domains.{number}.dataset.indices'] = '[0,2,4,6,8,10,12,14,16,18]'
del untrained, number
