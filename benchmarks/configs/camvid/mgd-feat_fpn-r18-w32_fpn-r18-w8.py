"""MGD on the last features: FPN on ResNet-18 on CamVid.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529; mask
ratio 0.75 and weight 2e-5 as published for segmentation.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: 40.7 +- 0.8 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
40.6 +- 0.4. With three times its weight 44.8 +- 0.3.
Status: measured
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/mgd-feat.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
