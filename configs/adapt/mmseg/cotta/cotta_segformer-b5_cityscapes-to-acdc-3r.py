"""CoTTA: SegFormer-B5, Cityscapes to ACDC, 3 rounds.

Paper: Continual Test-Time Domain Adaptation, CVPR 2022,
https://arxiv.org/abs/2203.13591
Command: python tools/test.py CONFIG
Expected: Table 5 of MoASE (AAAI 2026) reports fog 70.9, night 41.2, rain 62.4, snow
59.7 in round 1 and 70.9, 41.0, 62.7, 59.7 in round 3, mean 58.6. Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/segformer-b5_cityscapes-to-acdc.py']
model = dict(distiller=dict(type='mmkd_ext.CoTTADistiller'))
test_cfg = dict(rounds=3)
