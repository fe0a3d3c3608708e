"""Source only: DeepLabV3+ R18, toy streets, 10 rounds.

Paper: none; the model is not adapted.
Command: python tools/test.py CONFIG work_dirs/deeplabv3plus-r18-w16_streets/iter_1600.pth
Expected: 11.9 mIoU over 10 rounds (seed 0, 2 CPU cores).
Status: measured
"""

_base_ = ['../../../_base_/adapt/streets_deeplabv3plus-r18-w16.py']
model = dict(distiller=dict(type='mmkd_ext.SourceDistiller'))
