"""VID: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Variational Information Distillation for Knowledge Transfer, CVPR 2019,
https://arxiv.org/abs/1904.05835; weight 1, as RepDistiller.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/vid-stages.py',
]
model = dict(distiller=_base_.distiller)
