"""Adaptation: DeepLabV3+ on a quarter of ResNet-18, on toy streets in bad weather, 10 rounds.

The source is the checkpoint on the command line,
work_dirs/deeplabv3plus-r18-w16_streets/iter_1600.pth; made by:

    python projects/toy_streets/make.py --out data/streets --seed 0
    python tools/train.py configs/adapt/mmseg/source/deeplabv3plus-r18-w16_streets.py

The learning rates of the methods were chosen from one grid on other drives,
benchmarks/experiments/adapt_streets_rates.py.
"""

_base_ = [
    '../models/mmseg/deeplabv3plus-r18-w16.py',
    '../streams/streets-fog-night-rain-snow.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    _delete_=True, type='mmkd_ext.ContinualAdaptation', architecture=_base_.model
)
test_cfg = dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-4)))
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
