"""RoTTA: ESPNetv2 of width 2.0 from Cityscapes, CamVid in changing light.

Paper: Robust Test-Time Adaptation in Dynamic Scenarios, CVPR 2023,
https://arxiv.org/abs/2303.13899
Settings: as published, but for the size of the memory.
Command: CAMVID_ROOT=<folder> mmkd test CONFIG data/espnetv2/espnetv2-w20.pth
Expected: not measured yet.
Status: smoke
"""

_base_ = ['./_base_/adapt-camvid.py']
model = dict(distiller=dict(type='mmkd_ext.RoTTADistiller'))
