"""BN statistics: DeepLabV3+ R50, Cityscapes to ACDC, 10 rounds.

Paper: Evaluating Prediction-Time Batch Normalization for Robustness under Covariate
Shift, 2020, https://arxiv.org/abs/2006.10963
Command: python tools/test.py CONFIG
Expected: no published figure is known to us. Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/deeplabv3plus-r50_cityscapes-to-acdc.py']
model = dict(distiller=dict(type='mmkd_ext.BNStatsDistiller', statistics='batch'))
