"""Source: ESPNetv2 of width 2.0 from Cityscapes, CamVid in changing light.

Paper: none; the row that all others are compared with
Settings: none.
Command: CAMVID_ROOT=<folder> mmkd test CONFIG data/espnetv2/espnetv2-w20.pth
Expected: 33.3 mIoU over 2 rounds of six pictures a domain (seed 0, 2 CPU cores).
Status: measured
"""

_base_ = ['./_base_/adapt-camvid.py']
model = dict(distiller=dict(type='mmkd_ext.SourceDistiller'))
