"""SSKD, stage one: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Knowledge Distillation Meets Self-Supervision, ECCV 2020,
https://arxiv.org/abs/2006.07114; 10 epochs instead of 60. Nothing of the student is
trained.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './sskd-head_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
