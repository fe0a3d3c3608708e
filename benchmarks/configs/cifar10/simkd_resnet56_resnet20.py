"""SimKD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Knowledge Distillation with the Reused Teacher Classifier, CVPR 2022,
https://arxiv.org/abs/2203.14001; weight 1, factor 2, no other loss, as the authors. The
student has the projector too.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './simkd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
