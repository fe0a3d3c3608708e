"""ReviewKD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 0.6, as the authors for ResNet-20; no warm-up.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet20.py',
    '../../../configs/_base_/links/reviewkd-stages.py',
]
_base_.distiller.links.loss_reviewkd.update(
    loss=dict(type='mmkd_ext.ReviewKDLoss', loss_weight=0.6), schedule=None
)
model = dict(distiller=_base_.distiller)
