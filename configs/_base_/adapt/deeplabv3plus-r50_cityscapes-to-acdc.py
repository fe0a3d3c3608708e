"""Adaptation: DeepLabV3+ R50 of mmseg's model zoo, from Cityscapes to ACDC, 10 rounds.

No published table with it is known to us: the learning rate is that of CoTTA's tables
on SegFormer-B5 and ACDC until it is chosen on another stream.
"""

_base_ = ['../streams/cityscapes-to-acdc.py', 'mmseg::_base_/default_runtime.py']
model = dict(
    type='mmkd_ext.ContinualAdaptation',
    architecture='mmseg::deeplabv3plus/'
    'deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py',
    source_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3plus/'
    'deeplabv3plus_r50-d8_512x1024_80k_cityscapes/'
    'deeplabv3plus_r50-d8_512x1024_80k_cityscapes_20200606_114049-f9fb496d.pth',
)
test_cfg = dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=6e-5 / 8)))
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
