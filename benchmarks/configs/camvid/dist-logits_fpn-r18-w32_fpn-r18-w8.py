"""DIST on the logits: FPN on ResNet-18 on CamVid.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 1 and weight 1 as published for segmentation. There
is no auxiliary head here.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: 42.9 +- 2.6 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
40.6 +- 0.4.
Status: measured
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/dist-logits.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
