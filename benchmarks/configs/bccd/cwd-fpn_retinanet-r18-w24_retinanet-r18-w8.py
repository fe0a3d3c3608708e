"""CWD on the five FPN levels: RetinaNet on BCCD.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 1 and weight 10 a level as mmrazor's for
RetinaNet.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_retinanet.py
Expected: not measured with 1,500 iterations. With 200 it had AP 36.6 +- 1.8 on val
(seeds 0 to 2, 2 CPU cores); the student alone 35.8 +- 2.0.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/retinanet-r18-w24_retinanet-r18-w8.py',
    '../../../configs/_base_/links/cwd-fpn.py',
]
model = dict(distiller=_base_.distiller)
