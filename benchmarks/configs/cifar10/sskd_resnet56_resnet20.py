"""SSKD, stage two: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Knowledge Distillation Meets Self-Supervision, ECCV 2020,
https://arxiv.org/abs/2006.07114; weights, temperatures and crops without flips, as the
authors. Each picture in four views.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './sskd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
