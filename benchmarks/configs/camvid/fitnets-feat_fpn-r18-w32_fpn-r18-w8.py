"""FitNets on the last features: FPN on ResNet-18 on CamVid.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015, https://arxiv.org/abs/1412.6550;
joint training, weight 10 as in CIRKD.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: 44.3 +- 1.0 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
40.6 +- 0.4.
Status: measured
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/fitnets-feat.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
