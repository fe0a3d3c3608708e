"""DKD of every labelled pixel: FPN on ResNet-18 on CamVid.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679;
alpha 1, beta 0.25 and tau 1 of its detection part; it has no segmentation.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured with 2,000 iterations. With 200 it had 20.3 +- 1.1 mIoU on val
(seeds 0 to 2, 2 CPU cores), the student alone 20.1 +- 1.5.
Status: smoke
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/dkd-logits.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
