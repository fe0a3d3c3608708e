"""CRD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699; weight 0.8, as RepDistiller, and a tenth of its 16384
negatives, as there are a tenth of the pictures.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './crd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
