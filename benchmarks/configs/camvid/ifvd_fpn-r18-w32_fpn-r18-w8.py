"""IFVD: FPN on ResNet-18 on CamVid.

Paper: Intra-class Feature Variation Distillation for Semantic Segmentation, ECCV 2020,
https://www.ecva.net/papers/eccv_2020/papers_ECCV/papers/123520341.pdf; weights 200 and,
as a mean over pixels and 11 classes, 10 from the authors' code.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured with 2,000 iterations. With 200 it had 20.3 +- 1.1 mIoU on val
(seeds 0 to 2, 2 CPU cores), the student alone 20.1 +- 1.5.
Status: smoke
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/ifvd.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
