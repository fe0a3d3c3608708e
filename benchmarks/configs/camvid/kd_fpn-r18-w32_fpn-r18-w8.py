"""KD of pixels: FPN on ResNet-18 on CamVid.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1 and weight 1 as CIRKD's pixel term.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: 41.2 +- 0.4 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
40.6 +- 0.4. With three times its weight 41.6 +- 0.4.
Status: measured
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/kd.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
