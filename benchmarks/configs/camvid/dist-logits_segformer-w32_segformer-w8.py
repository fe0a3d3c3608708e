"""DIST on the logits: SegFormer on CamVid.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 1 and weight 1 as published for segmentation. There
is no auxiliary head here.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 19.1 +- 0.7 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/dist-logits.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
