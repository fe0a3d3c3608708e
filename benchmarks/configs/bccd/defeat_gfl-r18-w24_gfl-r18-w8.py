"""DeFeat on the five FPN levels: GFL on BCCD.

Paper: Distilling Object Detectors via Decoupled Features, CVPR 2021,
https://arxiv.org/abs/2103.14475; weights 3 and 12, those of Pascal VOC.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: not measured with 1,500 iterations. With 200 it had AP 41.1 +- 1.7 on val
(seeds 0 to 2, 2 CPU cores); the student alone 38.0 +- 2.9.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/defeat-fpn.py',
]
link = _base_.distiller.links.loss_neck
link.preds_S.connector.connector.in_channels = 32
model = dict(
    distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_defeat=link))
)
del link
