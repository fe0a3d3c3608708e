"""The learning rate of each method on ESPNetv2, on pictures that no table reports.

python benchmarks/adapt_grid.py benchmarks/experiments/<this file>

Pictures of CamVid's `train`: 4 of one drive, by day and with weather drawn over them,
and 4 of another drive in the place of dusk, one round; width 1.5. The mean of the
domains decides, for all methods alike.
"""

_base_ = './adapt_espnetv2_w15.py'
name = 'adapt_espnetv2_rates'
title = 'ESPNetv2-1.5, pictures of training: learning rates'
learning_rates = (3e-5, 1e-4, 3e-4)
methods = {
    key: dict(_base_.methods[key])
    for key in ('dose', 'ema_teacher', 'cotta', 'tent', 'eata', 'sar')
}
methods['_delete_'] = True
options = {'test_cfg.rounds': 1}
for number in range(6):
    # frames of the second drive far from those of `val`, which are of the same drive
    first, step = (6, 24) if number == 1 else (111, 42)
    pictures = ','.join(str(first + step * index) for index in range(4))
    options[f'test_cfg.domains.{number}.dataset.ann_file'] = 'splits/train.txt'
    options[f'test_cfg.domains.{number}.dataset.indices'] = f'[{pictures}]'
options['test_cfg.domains.1.name'] = 'other-drive'
del number, first, step, pictures
