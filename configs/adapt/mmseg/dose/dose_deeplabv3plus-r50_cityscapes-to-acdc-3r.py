"""DoSe, Cityscapes to ACDC, three rounds; DeepLabV3+ on ResNet-50.

Paper: N. Reddy, M. Baktashmotlagh, C. Arora, WACV 2024, p. 696-707; what is ours is
listed in the README. The learning rate is that of CoTTA on ACDC.
Command: python tools/test.py CONFIG
Expected: no figure for this network is known to us; the source has 80.09 mIoU on
Cityscapes val (mmsegmentation's model zoo). Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/deeplabv3plus-r50_cityscapes-to-acdc.py']
model = dict(distiller=dict(type='mmkd_ext.DoSeDistiller'))
test_cfg = dict(rounds=3)
