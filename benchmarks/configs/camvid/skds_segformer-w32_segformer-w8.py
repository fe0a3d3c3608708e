"""SKDS, pixel and pair-wise terms: SegFormer on CamVid.

Paper: Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04197; weight 0.5 of the pair-wise term as published. The pixel
term of weight 10 is a sum over images there, which would be 40 here; it was measured with
10.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 18.2 +- 0.1 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/skds.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
