"""TENT: semantic FPN R18, CamVid, 10 rounds.

Paper: Tent: Fully Test-Time Adaptation by Entropy Minimization, ICLR 2021,
https://arxiv.org/abs/2006.10726
Command: CAMVID_ROOT=<folder> python tools/test.py CONFIG
work_dirs/fpn-r18-w32_camvid/iter_1500.pth
Expected: 28.9 mIoU over 3 rounds of every third picture (seed 0, 2 CPU cores); the
source 25.0.
Status: measured
"""

_base_ = ['../../../_base_/adapt/camvid_fpn-r18-w32.py']
model = dict(distiller=dict(type='mmkd_ext.TentDistiller'))
test_cfg = dict(optim_wrapper=dict(optimizer=dict(lr=3e-4)))
