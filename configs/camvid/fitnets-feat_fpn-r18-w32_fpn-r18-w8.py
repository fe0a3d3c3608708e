"""FitNets on the last features: FPN on ResNet-18 on CamVid.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015, https://arxiv.org/abs/1412.6550;
joint training, weight 10 as in CIRKD.
Command: python tools/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured yet.
Status: unrun
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/fitnets-feat.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
