"""DoSe: ESPNetv2 of width 2.0 from Cityscapes, CamVid in changing light.

Paper: N. Reddy, M. Baktashmotlagh, C. Arora, WACV 2024, p. 696-707; what is ours is
listed in the README of configs/adapt/mmseg/dose.
Settings: the defaults; no grid has chosen the rate.
Command: CAMVID_ROOT=<folder> mmkd test CONFIG data/espnetv2/espnetv2-w20.pth
Expected: 46.0 mIoU over 2 rounds of six pictures a domain (seed 0, 2 CPU cores); the
source 33.3.
Status: measured
"""

_base_ = ['./_base_/adapt-camvid.py']
model = dict(distiller=dict(type='mmkd_ext.DoSeDistiller'))
test_cfg = dict(optim_wrapper=dict(optimizer=dict(lr=3e-4)))
