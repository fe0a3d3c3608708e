"""PKD on the first four FPN levels: RetinaNet on BCCD.

Paper: General Distillation Framework for Object Detectors via Pearson Correlation
Coefficient, NeurIPS 2022, https://arxiv.org/abs/2207.02039; weight 10 a level as
published for RetinaNet.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_retinanet.py
Expected: not measured with 1,500 iterations. With 200 it had AP 38.8 +- 3.1 on val
(seeds 0 to 2, 2 CPU cores); the student alone 35.8 +- 2.0.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/retinanet-r18-w24_retinanet-r18-w8.py',
    '../../../configs/_base_/links/pkd-fpn.py',
]
model = dict(distiller=_base_.distiller)
