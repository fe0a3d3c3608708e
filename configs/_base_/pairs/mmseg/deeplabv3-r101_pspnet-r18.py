"""Pair: DeepLabV3-R101 (80.20 mIoU) teaches PSPNet-R18 (74.87), Cityscapes, stride 8.

Figures: mmsegmentation's model zoo, 512x1024, 80k iterations.
"""

_base_ = './deeplabv3-r101_deeplabv3-r18.py'
model = dict(
    architecture=dict(
        cfg_path='mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    )
)
