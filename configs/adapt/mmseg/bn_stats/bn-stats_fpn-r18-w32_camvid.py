"""BN statistics: semantic FPN R18, CamVid, 10 rounds.

Paper: Evaluating Prediction-Time Batch Normalization for Robustness under Covariate
Shift, 2020, https://arxiv.org/abs/2006.10963
Command: CAMVID_ROOT=<folder> python tools/test.py CONFIG
work_dirs/fpn-r18-w32_camvid/iter_1500.pth
Expected: 29.0 mIoU over 3 rounds of every third picture (seed 0, 2 CPU cores); the
source 25.0.
Status: measured
"""

_base_ = ['../../../_base_/adapt/camvid_fpn-r18-w32.py']
model = dict(distiller=dict(type='mmkd_ext.BNStatsDistiller', statistics='batch'))
