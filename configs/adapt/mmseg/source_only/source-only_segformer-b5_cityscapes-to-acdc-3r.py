"""Source only: SegFormer-B5, Cityscapes to ACDC, 3 rounds.

Paper: none; the model is not adapted.
Command: python tools/test.py CONFIG
Expected: Table 5 of MoASE (AAAI 2026) reports fog 69.1, night 40.3, rain 59.7, snow
57.8 in every round, mean 56.7. Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/segformer-b5_cityscapes-to-acdc.py']
model = dict(distiller=dict(type='mmkd_ext.SourceDistiller'))
test_cfg = dict(rounds=3)
