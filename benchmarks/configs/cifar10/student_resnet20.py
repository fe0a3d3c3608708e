"""The student alone on CIFAR-10: ResNet-20, from scratch on 5,000 pictures.

Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = ['../../../configs/_base_/tasks/cifar10_40e.py', './base_teacher.py']
model = dict(_base_.network, backbone=dict(_base_.network.backbone, depth=20))
