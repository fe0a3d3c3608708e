"""MGD on the last features: SegFormer on CamVid.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529; mask
ratio 0.75 and weight 2e-5 as published for segmentation.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 17.8 +- 0.4 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/mgd-feat.py']
_base_.links.loss_mgd.preds_S.connector.update(in_channels=32, channels=128)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
