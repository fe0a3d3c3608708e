"""AT: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Paying More Attention to Attention, ICLR 2017,
https://arxiv.org/abs/1612.03928; weight 1000, as RepDistiller.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet20.py',
    '../../../configs/_base_/links/at-stages.py',
]
model = dict(distiller=_base_.distiller)
