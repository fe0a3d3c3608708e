"""KD: ResNet-20, an assistant, -> ResNet-8 on CIFAR-10.

Paper: Improved Knowledge Distillation via Teacher Assistant, AAAI 2020,
https://arxiv.org/abs/1902.03393; tau 4, weight 0.9, and 0.1 of the cross entropy.
Command: mmkd chain benchmarks/configs/schemes/takd_cifar10.py
Expected: see takd_cifar10.py.
Status: unrun
"""

_base_ = '../cifar10/kd_resnet56_resnet8.py'
# from the step before
model = dict(teacher=dict(backbone=dict(depth=20)), teacher_ckpt=None)
