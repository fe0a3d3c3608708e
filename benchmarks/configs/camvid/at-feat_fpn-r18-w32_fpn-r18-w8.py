"""AT on the last features: FPN on ResNet-18 on CamVid.

Paper: Paying More Attention to Attention, ICLR 2017, https://arxiv.org/abs/1612.03928;
weight 10000 as in CIRKD.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured with 2,000 iterations. With 200 it had 19.0 +- 0.6 mIoU on val
(seeds 0 to 2, 2 CPU cores), the student alone 20.1 +- 1.5.
Status: smoke
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/at-feat.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
