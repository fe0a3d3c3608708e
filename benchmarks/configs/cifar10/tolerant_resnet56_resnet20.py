"""The tolerant teacher's term: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Training Deep Neural Networks in Generations, AAAI 2019,
https://arxiv.org/abs/1805.05551; eta 0.6 and the 5 highest scores, both not verified.
It is the network that would teach the next generation; the ResNet-56 takes no part.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './tolerant_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
