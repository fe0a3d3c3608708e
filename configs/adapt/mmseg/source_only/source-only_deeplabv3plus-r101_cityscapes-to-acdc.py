"""Source only: DeepLabV3+ R101, Cityscapes to ACDC, 10 rounds.

Paper: none; the model is not adapted.
Command: python tools/test.py CONFIG
Expected: no published figure is known to us. Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/deeplabv3plus-r101_cityscapes-to-acdc.py']
model = dict(distiller=dict(type='mmkd_ext.SourceDistiller'))
