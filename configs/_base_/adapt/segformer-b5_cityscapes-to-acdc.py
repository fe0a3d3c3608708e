"""Adaptation: SegFormer-B5 of mmseg's model zoo, from Cityscapes to ACDC, 10 rounds.

The optimizer is that of CoTTA's tables: Adam, 6e-5 / 8. Pictures of 960 x 540 fit into
one window of 1024; larger views are tested in windows, as the model's config says.
"""

_base_ = [
    '../streams/cityscapes-to-acdc.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    type='mmkd_ext.ContinualAdaptation',
    architecture='mmseg::segformer/segformer_mit-b5_8xb1-160k_cityscapes-1024x1024.py',
    source_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/segformer/'
    'segformer_mit-b5_8x1_1024x1024_160k_cityscapes/'
    'segformer_mit-b5_8x1_1024x1024_160k_cityscapes_20211206_072934-87a052ec.pth',
)
test_cfg = dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=6e-5 / 8)))
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
