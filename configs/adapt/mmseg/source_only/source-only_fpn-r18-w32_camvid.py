"""Source only: semantic FPN R18, CamVid, 10 rounds.

Paper: none; the model is not adapted.
Command: CAMVID_ROOT=<folder> python tools/test.py CONFIG
work_dirs/fpn-r18-w32_camvid/iter_1500.pth
Expected: 25.0 mIoU over 3 rounds of every third picture (seed 0, 2 CPU cores).
Status: measured
"""

_base_ = ['../../../_base_/adapt/camvid_fpn-r18-w32.py']
model = dict(distiller=dict(type='mmkd_ext.SourceDistiller'))
