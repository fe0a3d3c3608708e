"""DoSe, Cityscapes to ACDC, ten rounds; DeepLabV3+ on ResNet-50.

Paper: N. Reddy, M. Baktashmotlagh, C. Arora, WACV 2024, p. 696-707; what is ours is
listed in the README. The learning rate is that of CoTTA on ACDC. Three rounds:
--cfg-options test_cfg.rounds=3
Command: python tools/test.py CONFIG
Expected: no figure for this network is known to us; the source has 80.09 mIoU on
Cityscapes val (mmsegmentation's model zoo). Not measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/streams/cityscapes-to-acdc.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    type='mmkd_ext.ContinualAdaptation',
    architecture=dict(
        cfg_path='mmseg::deeplabv3plus/'
        'deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py'
    ),
    source_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3plus/'
    'deeplabv3plus_r50-d8_512x1024_80k_cityscapes/'
    'deeplabv3plus_r50-d8_512x1024_80k_cityscapes_20200606_114049-f9fb496d.pth',
    distiller=dict(type='mmkd_ext.DoSeDistiller'),
)
test_cfg = dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=6e-5 / 8)))
