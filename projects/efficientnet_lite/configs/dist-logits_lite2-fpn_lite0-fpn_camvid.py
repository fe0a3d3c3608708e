"""DIST on the logits: FPN on EfficientNet-Lite on CamVid.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 1 and weight 1 as published for segmentation. There
is no auxiliary head here.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_lite.py
Expected: no figure yet.
Status: smoke
"""

_base_ = [
    './_base_/pair-camvid.py',
    '../../../benchmarks/configs/camvid/links/dist-logits.py',
]
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
