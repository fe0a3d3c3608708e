"""CWD on the logits: FPN on ResNet-18 on CamVid.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 3 as published.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: 45.7 +- 0.8 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
40.6 +- 0.4. With a tenth of its weight 44.0 +- 1.9.
Status: measured
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/cwd-logits.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
