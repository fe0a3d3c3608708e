"""RoTTA: DeepLabV3+ R18, toy streets, 10 rounds.

Paper: Robust Test-Time Adaptation in Dynamic Scenarios, CVPR 2023,
https://arxiv.org/abs/2303.13899
Command: python tools/test.py CONFIG work_dirs/deeplabv3plus-r18-w16_streets/iter_1600.pth
Expected: 10.7 +- 0.0 mIoU over 10 rounds (seeds 0 to 2, 2 CPU cores); the source 11.9.
Status: measured
"""

_base_ = ['../../../_base_/adapt/streets_deeplabv3plus-r18-w16.py']
model = dict(distiller=dict(type='mmkd_ext.RoTTADistiller'))
test_cfg = dict(optim_wrapper=dict(optimizer=dict(lr=1e-5)))
