"""DoSe, Cityscapes to ACDC, ten rounds; PSPNet on ResNet-50.

Paper: N. Reddy, M. Baktashmotlagh, C. Arora, WACV 2024, p. 696-707; what is ours is
listed in the README.
Command: python tools/test.py CONFIG
Expected: no figure for this network is known to us; the source has 78.55 mIoU on
Cityscapes val (mmsegmentation's model zoo). Not measured by us.
Status: unrun
"""

_base_ = './dose_deeplabv3plus-r50_cityscapes-to-acdc.py'
model = dict(
    architecture='mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py',
    source_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/'
    'pspnet_r50-d8_512x1024_80k_cityscapes/'
    'pspnet_r50-d8_512x1024_80k_cityscapes_20200606_112131-2376f12b.pth',
)
