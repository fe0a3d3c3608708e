"""Adaptation: DeepLabV3+ R50 of mmseg's model zoo, from Cityscapes; any stream.

A network with 70 batch norms, where methods that work on their statistics have
something to work on.
"""

_base_ = ['../runtime.py', 'mmseg::_base_/default_runtime.py']
model = dict(
    type='mmkd_ext.ContinualAdaptation',
    architecture='mmseg::deeplabv3plus/'
    'deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py',
    source_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3plus/'
    'deeplabv3plus_r50-d8_512x1024_80k_cityscapes/'
    'deeplabv3plus_r50-d8_512x1024_80k_cityscapes_20200606_114049-f9fb496d.pth',
)
