"""SKDS, pixel and pair-wise terms: FPN on ResNet-18 on CamVid.

Paper: Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04197; weight 0.5 of the pair-wise term as published. The pixel
term of weight 10 is a sum over images there, which would be 40 here; it was measured with
10.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured with 2,000 iterations. With 200 it had 21.2 +- 1.6 mIoU on val
(seeds 0 to 2, 2 CPU cores), the student alone 20.1 +- 1.5.
Status: smoke
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/skds.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
