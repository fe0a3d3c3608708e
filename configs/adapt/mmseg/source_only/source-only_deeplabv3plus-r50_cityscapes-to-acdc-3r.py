"""Source only: DeepLabV3+ R50, Cityscapes to ACDC, 3 rounds.

Paper: none; the model is not adapted.
Command: python tools/test.py CONFIG
Expected: no published figure is known to us. Not measured by us.
Status: unrun
"""

_base_ = ['source-only_deeplabv3plus-r50_cityscapes-to-acdc.py']
test_cfg = dict(rounds=3)
