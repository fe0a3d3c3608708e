"""ReviewKD on the four stages: FPN on ResNet-18 on CamVid.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 1. It has no segmentation: the 64 channels in
the middle and the warm-up of 50 iterations are ours.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured with 2,000 iterations. With 200 it had 21.1 +- 1.0 mIoU on val
(seeds 0 to 2, 2 CPU cores), the student alone 20.1 +- 1.5.
Status: smoke
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/reviewkd-backbone.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
