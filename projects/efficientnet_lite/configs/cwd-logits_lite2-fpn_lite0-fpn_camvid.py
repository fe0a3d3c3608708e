"""CWD on the logits: FPN on EfficientNet-Lite on CamVid.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 3 as published.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_lite.py
Expected: no figure yet.
Status: smoke
"""

_base_ = [
    './_base_/pair-camvid.py',
    '../../../benchmarks/configs/camvid/links/cwd-logits.py',
]
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
