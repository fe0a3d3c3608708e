"""Source: ESPNetv2 of width 2.0 from Cityscapes, CamVid in changing light.

Paper: none; the row that all others are compared with
Settings: none.
Command: CAMVID_ROOT=<folder> mmkd test CONFIG data/espnetv2/espnetv2-w20.pth
Expected: EXPECT
Status: unrun
"""

_base_ = ['./_base_/adapt-camvid.py']
model = dict(distiller=dict(type='mmkd_ext.SourceDistiller'))
