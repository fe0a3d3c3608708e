"""Does the guard do no harm? ESPNetv2 of width 0.5 on the reported stream.

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_espnetv2_w05_guard.py

The stream of adapt_espnetv2_w05.py, whose results have the same methods without a guard
and the statistics alone. The guard's limit was chosen on other pictures
(benchmarks/espnetv2_guard.py).
"""

_base_ = './adapt_espnetv2_w05.py'
name = 'adapt_espnetv2_w05_guard'
title = 'ESPNetv2-0.5 from Cityscapes on CamVid, guarded: 2 rounds'
methods = {
    key: _base_.methods[key] for key in ('tent_fast_guarded', 'dose_fast_guarded')
}
methods['tent_guarded'] = dict(
    _base_.methods['tent'],
    title='TENT, guarded',
    options={'model.guard.type': 'mmkd_ext.CollapseGuard'},
)
methods['source'] = _base_.methods['source']
methods['_delete_'] = True
