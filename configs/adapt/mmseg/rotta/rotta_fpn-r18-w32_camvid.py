"""RoTTA: semantic FPN R18, CamVid, 10 rounds.

Paper: Robust Test-Time Adaptation in Dynamic Scenarios, CVPR 2023,
https://arxiv.org/abs/2303.13899
Command: CAMVID_ROOT=<folder> python tools/test.py CONFIG
work_dirs/fpn-r18-w32_camvid/iter_1500.pth
Expected: 23.6 +- 0.0 mIoU over 3 rounds of every third picture (seeds 0 to 2, 2 CPU
cores); the source 25.0.
Status: measured
"""

_base_ = ['../../../_base_/adapt/camvid_fpn-r18-w32.py']
model = dict(distiller=dict(type='mmkd_ext.RoTTADistiller'))
test_cfg = dict(optim_wrapper=dict(optimizer=dict(lr=1e-5)))
