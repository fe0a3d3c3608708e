"""How much of DoSe's layer and domain term is good, on streets that no table reports.

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_streets_lambdas.py

The stream and the rate of adapt_streets_rates.py; one term at a time. The paper's text,
as far as we know it, names neither weight.
"""

_base_ = './adapt_streets_rates.py'
name = 'adapt_streets_lambdas'
title = 'Toy streets, other drives: weights of the terms of DoSe'
learning_rates = ()
whole = _base_.methods['dose_half']
methods = dict(_delete_=True, source=_base_.methods['source'])
for layer, domain in (
    *((0, 0), (1, 1)),
    *((weight, 0) for weight in (1, 10, 100, 1000)),
    *((0, weight) for weight in (1, 10, 100, 1000)),
):
    key = f'layer{layer}_domain{domain}'
    methods[key] = dict(whole, title=f'DoSe, layer {layer}, domain {domain}')
    methods[key]['options'] = dict(whole['options'])
    methods[key]['options']['model.distiller.lambda_layer'] = layer
    methods[key]['options']['model.distiller.lambda_domain'] = domain
del whole, layer, domain, key
