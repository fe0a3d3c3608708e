"""The learning rate of each method on CamVid, chosen on pictures that no table reports.

CAMVID_ROOT=<folder> python benchmarks/adapt_grid.py benchmarks/experiments/<this file>

Pictures of `train`, three rounds, one seed, the same rates for all: 10 of a drive, by
day and with weather drawn over them, and 10 of another drive in the place of dusk: only
the reported stream has that. The source knows these pictures, without weather. CoTTA
takes the rate of the EMA teacher: it would need hours.
"""

_base_ = './adapt_camvid.py'
name = 'adapt_camvid_rates'
title = 'CamVid, pictures of training: learning rates'
learning_rates = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
seeds = (0,)
methods = {
    key: dict(method)
    for key, method in _base_.methods.items()
    if key != 'cotta' and not key.endswith(('_guarded', '_slow'))
}
for untrained in ('source', 'bn_stats', 'bn_half', 'diga'):
    methods[untrained]['learning_rates'] = ()
methods['_delete_'] = True
options = {'_delete_': True, 'test_cfg.rounds': 3}
for number in range(6):
    # `train` holds two drives: 101 pictures of one, then 204 of the other
    first, step = (0, 10) if number == 1 else (101, 20)
    pictures = ','.join(str(first + step * index) for index in range(10))
    options[f'test_cfg.domains.{number}.dataset.ann_file'] = 'splits/train.txt'
    options[f'test_cfg.domains.{number}.dataset.indices'] = f'[{pictures}]'
options['test_cfg.domains.1.name'] = 'other-drive'
del number, first, step, pictures, untrained
