"""AT on the last features: SegFormer on CamVid.

Paper: Paying More Attention to Attention, ICLR 2017, https://arxiv.org/abs/1612.03928;
weight 10000 as in CIRKD.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 17.3 +- 0.1 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/at-feat.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
