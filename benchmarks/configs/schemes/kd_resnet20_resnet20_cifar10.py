"""KD: ResNet-20 -> ResNet-20 on CIFAR-10, a generation of born-again networks.

Paper: Born Again Neural Networks, ICML 2018, https://arxiv.org/abs/1805.04770; tau 4,
weight 0.9, and 0.1 of the cross entropy, which are RepDistiller's. It is Tf-KD's
self-training, too (https://arxiv.org/abs/1909.11723).
Command: mmkd chain benchmarks/configs/schemes/born-again_cifar10.py
Expected: see born-again_cifar10.py.
Status: unrun
"""

_base_ = '../cifar10/kd_resnet56_resnet20.py'
# from the step before
model = dict(teacher=dict(backbone=dict(depth=20)), teacher_ckpt=None)
