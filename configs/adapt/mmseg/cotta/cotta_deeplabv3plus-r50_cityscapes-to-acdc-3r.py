"""CoTTA: DeepLabV3+ R50, Cityscapes to ACDC, 3 rounds.

Paper: Continual Test-Time Domain Adaptation, CVPR 2022,
https://arxiv.org/abs/2203.13591
Command: python tools/test.py CONFIG
Expected: no published figure is known to us. Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/deeplabv3plus-r50_cityscapes-to-acdc.py']
model = dict(distiller=dict(type='mmkd_ext.CoTTADistiller'))
test_cfg = dict(rounds=3)
