"""KD of pixels across resolution, 480 x 360 -> 240 x 180: FPN on ResNet-18 on CamVid.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1 and weight 1 as CIRKD's pixel term.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_resolution.py
Expected: no figure yet.
Status: smoke
"""

_base_ = ['./base_rakd_fpn-r18-w32_fpn-r18-w8.py', './links/kd.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
