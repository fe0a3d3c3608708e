"""ReviewKD on the five FPN levels: GFL on BCCD.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 1 as published; the middle is as wide as the
neck, and the warm-up of 50 iterations is ours.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: not measured with 1,500 iterations. With 200 it had AP 40.9 +- 2.3 on val
(seeds 0 to 2, 2 CPU cores); the student alone 38.0 +- 2.9.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/reviewkd-fpn.py',
]
link = _base_.distiller.links.loss_reviewkd
link.preds_S.connector.update(channels=32, mid_channels=32)
link.schedule = dict(type='linear', end=50)
model = dict(
    distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_review=link))
)
del link
