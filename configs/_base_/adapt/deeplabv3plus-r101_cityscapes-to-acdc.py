"""Adaptation: DeepLabV3+ R101 of mmseg's model zoo, from Cityscapes to ACDC, 10 rounds.

Stream and optimizer are those of R50.
"""

_base_ = ['./deeplabv3plus-r50_cityscapes-to-acdc.py']
model = dict(
    architecture='mmseg::deeplabv3plus/'
    'deeplabv3plus_r101-d8_4xb2-80k_cityscapes-512x1024.py',
    source_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3plus/'
    'deeplabv3plus_r101-d8_512x1024_80k_cityscapes/'
    'deeplabv3plus_r101-d8_512x1024_80k_cityscapes_20200606_114143-068fcfe9.pth',
)
