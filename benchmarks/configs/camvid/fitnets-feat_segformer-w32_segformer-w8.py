"""FitNets on the last features: SegFormer on CamVid.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015, https://arxiv.org/abs/1412.6550;
joint training, weight 10 as in CIRKD.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 17.9 +- 0.3 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/fitnets-feat.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
