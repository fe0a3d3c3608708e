"""OFD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: A Comprehensive Overhaul of Feature Distillation, ICCV 2019,
https://arxiv.org/abs/1904.01866; weight 1e-3, halved from the last stage down, as the
authors for CIFAR.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/ofd-stages.py',
]
model = dict(distiller=_base_.distiller)
