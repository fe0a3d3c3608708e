"""CIRKD, first version: FPN on ResNet-18 on CamVid.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; weights of the authors' first version. Memories
of 500 pixels and 100 regions a class instead of 20000 and 2000, so that they fill in a
third of this short training, and 100 pixels a class drawn in a step.
Command: python tools/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured yet.
Status: unrun
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/cirkd.py']
model = dict(distiller=_base_.distiller)
