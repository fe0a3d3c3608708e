"""DoSe, Cityscapes to ACDC, ten rounds; PSPNet on ResNet-50.

Paper: N. Reddy, M. Baktashmotlagh, C. Arora, WACV 2024, p. 696-707; what is ours is
listed in the README.
Command: python tools/test.py CONFIG
Expected: no figure for this network is known to us; the source has 78.55 mIoU on
Cityscapes val (mmsegmentation's model zoo). Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/pspnet-r50_cityscapes-to-acdc.py']
model = dict(distiller=dict(type='mmkd_ext.DoSeDistiller'))
