"""IFVD: SegFormer on CamVid.

Paper: Intra-class Feature Variation Distillation for Semantic Segmentation, ECCV 2020,
https://www.ecva.net/papers/eccv_2020/papers_ECCV/papers/123520341.pdf; weights 200 and,
as a mean over pixels and 11 classes, 10 from the authors' code.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 18.8 +- 0.2 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/ifvd.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
