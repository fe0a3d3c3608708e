"""MGD on the last features: FPN on EfficientNet-Lite on CamVid.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529; mask
ratio 0.75 and weight 2e-5 as published for segmentation.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_lite.py
Expected: no figure yet.
Status: smoke
"""

_base_ = [
    './_base_/pair-camvid.py',
    '../../../benchmarks/configs/camvid/links/mgd-feat.py',
]
_base_.links.loss_mgd.preds_S.connector.update(in_channels=16, channels=64)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
