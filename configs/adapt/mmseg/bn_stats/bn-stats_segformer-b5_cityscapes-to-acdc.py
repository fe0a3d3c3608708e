"""BN statistics: SegFormer-B5, Cityscapes to ACDC, 10 rounds.

Paper: Evaluating Prediction-Time Batch Normalization for Robustness under Covariate
Shift, 2020, https://arxiv.org/abs/2006.10963
Command: python tools/test.py CONFIG
Expected: Table 5 of CoTTA (CVPR 2022) reports fog 62.3, night 38.0, rain 54.6, snow
53.0 in every round, mean 52.0, in train mode: dropout and drop path were on there, here
they are off. Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/segformer-b5_cityscapes-to-acdc.py']
model = dict(distiller=dict(type='mmkd_ext.BNStatsDistiller', statistics='batch'))
