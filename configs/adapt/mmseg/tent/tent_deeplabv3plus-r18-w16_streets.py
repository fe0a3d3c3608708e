"""TENT: DeepLabV3+ R18, toy streets, 10 rounds.

Paper: Tent: Fully Test-Time Adaptation by Entropy Minimization, ICLR 2021,
https://arxiv.org/abs/2006.10726
Command: python tools/test.py CONFIG work_dirs/deeplabv3plus-r18-w16_streets/iter_1600.pth
Expected: 14.1 mIoU over 10 rounds (seed 0, 2 CPU cores); the source 11.9.
Status: measured
"""

_base_ = ['../../../_base_/adapt/streets_deeplabv3plus-r18-w16.py']
model = dict(distiller=dict(type='mmkd_ext.TentDistiller'))
test_cfg = dict(optim_wrapper=dict(optimizer=dict(lr=1e-3)))
