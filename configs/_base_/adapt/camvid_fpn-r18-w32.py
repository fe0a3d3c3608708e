"""Adaptation: semantic FPN on half a ResNet-18, CamVid in changing light, 10 rounds.

The source is the checkpoint on the command line, work_dirs/fpn-r18-w32_camvid/
iter_1500.pth; made by:

    CAMVID_ROOT=<folder> python tools/train.py \\
        configs/adapt/mmseg/source/fpn-r18-w32_camvid.py \\
        --work-dir work_dirs/fpn-r18-w32_camvid

CamVid is looked for in ``$CAMVID_ROOT``. The learning rates of the methods were chosen
from one grid on pictures of `train`, benchmarks/experiments/adapt_camvid_rates.py.
"""

_base_ = [
    '../pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
    '../streams/camvid-day-dusk-weather.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='mmkd_ext.ContinualAdaptation',
    architecture=_base_.model.teacher,
)
model['architecture']['decode_head']['num_classes'] = 11
test_cfg = dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-4)))
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
