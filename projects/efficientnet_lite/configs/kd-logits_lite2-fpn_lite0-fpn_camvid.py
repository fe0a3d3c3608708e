"""KD of pixels: FPN on EfficientNet-Lite on CamVid.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1 and weight 1 as CIRKD's pixel term.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_lite.py
Expected: no figure yet.
Status: smoke
"""

_base_ = [
    './_base_/pair-camvid.py',
    '../../../benchmarks/configs/camvid/links/kd.py',
]
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
