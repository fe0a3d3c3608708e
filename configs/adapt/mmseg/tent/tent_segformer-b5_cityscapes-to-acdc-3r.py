"""TENT: SegFormer-B5, Cityscapes to ACDC, 3 rounds.

The TENT of CoTTA's tables learns the student's own classes, in eval mode.

Paper: Tent: Fully Test-Time Adaptation by Entropy Minimization, ICLR 2021,
https://arxiv.org/abs/2006.10726
Command: python tools/test.py CONFIG
Expected: Table 5 of MoASE (AAAI 2026) reports fog 69.0, night 40.2, rain 60.1, snow
57.3 in round 1 and 67.5, 37.8, 59.6, 55.0 in round 3, mean 55.7. Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/segformer-b5_cityscapes-to-acdc.py']
model = dict(
    distiller=dict(type='mmkd_ext.TentDistiller', loss='hard', statistics='source')
)
test_cfg = dict(rounds=3)
