"""EMA self-training: DeepLabV3+ R18, toy streets, 10 rounds.

Paper: Mean teachers are better role models, NeurIPS 2017,
https://arxiv.org/abs/1703.01780
Command: python tools/test.py CONFIG work_dirs/deeplabv3plus-r18-w16_streets/iter_1600.pth
Expected: 11.9 mIoU over 10 rounds (seed 0, 2 CPU cores); the source 11.9.
Status: measured
"""

_base_ = ['../../../_base_/adapt/streets_deeplabv3plus-r18-w16.py']
model = dict(distiller=dict(type='mmkd_ext.EMATeacherDistiller'))
test_cfg = dict(optim_wrapper=dict(optimizer=dict(lr=1e-5)))
