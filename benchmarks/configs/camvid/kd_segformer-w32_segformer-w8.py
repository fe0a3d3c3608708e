"""KD of pixels: SegFormer on CamVid.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1 and weight 1 as CIRKD's pixel term.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 18.3 +- 0.1 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/kd.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
