"""FitNets: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015,
https://arxiv.org/abs/1412.6550; weight 100, as RepDistiller.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet20.py',
    '../../../configs/_base_/links/fitnets-stage.py',
]
model = dict(distiller=_base_.distiller)
