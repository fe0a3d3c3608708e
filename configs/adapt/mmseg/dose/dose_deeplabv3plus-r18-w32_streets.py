"""DoSe on toy streets: fog, night, rain and snow, ten times; DeepLabV3+.

Paper: N. Reddy, M. Baktashmotlagh, C. Arora, WACV 2024, p. 696-707; what is ours is
listed in the README.
Command: python tools/test.py CONFIG work_dirs/deeplabv3plus-r18-w32_streets/iter_1600.pth
Expected: not measured yet; the learning rate is not chosen yet.
Status: unrun
"""

_base_ = [
    '../../../_base_/models/mmseg/deeplabv3plus-r18-w32.py',
    '../../../_base_/streams/streets-fog-night-rain-snow.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='mmkd_ext.ContinualAdaptation',
    architecture=_base_.model,
    distiller=dict(type='mmkd_ext.DoSeDistiller'),
)
test_cfg = dict(
    optim_wrapper=dict(
        optimizer=dict(type='Adam', lr=1e-4), clip_grad=dict(max_norm=1.0)
    )
)
