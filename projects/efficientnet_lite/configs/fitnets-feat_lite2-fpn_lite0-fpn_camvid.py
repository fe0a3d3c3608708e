"""FitNets on the last features: FPN on EfficientNet-Lite on CamVid.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015, https://arxiv.org/abs/1412.6550;
joint training, weight 10 as in CIRKD.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_lite.py
Expected: no figure yet.
Status: smoke
"""

_base_ = [
    './_base_/pair-camvid.py',
    '../../../benchmarks/configs/camvid/links/fitnets-feat.py',
]
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
