"""The teacher on CIFAR-10: ResNet-56 that others trained on all 50,000 pictures.

Weights: https://github.com/akamaster/pytorch_resnet_cifar10, as
``python benchmarks/cifar10_teacher.py resnet56-4bfd9763.th`` writes them.
Command: python tools/test.py CONFIG work_dirs/cifar10/resnet56.pth
Expected: 83.15 % on val, whose pictures are JPEG copies; 93.4 % on the originals (theirs).
Status: unrun
"""

_base_ = ['../../../configs/_base_/tasks/cifar10_40e.py', './base_teacher.py']
model = _base_.network
