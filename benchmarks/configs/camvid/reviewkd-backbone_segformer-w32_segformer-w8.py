"""ReviewKD on the four stages: SegFormer on CamVid.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 1. It has no segmentation: the 64 channels in
the middle and the warm-up of 50 iterations are ours.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 17.8 +- 0.5 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/reviewkd-backbone.py']
_base_.links.loss_reviewkd.preds_S.connector.update(
    in_channels=(8, 16, 40, 64), channels=(32, 64, 160, 256)
)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
