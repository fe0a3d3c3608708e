"""AFD and KD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Show, Attend and Distill, AAAI 2021, https://arxiv.org/abs/2102.02973; weight
200, with KD of tau 4, weight 0.9, as the authors.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = ['./afd_resnet56_resnet8.py', './links/kd.py']
_base_.kd.loss.loss_weight = 0.9
model = dict(distiller=dict(links=dict(loss_kd=_base_.pop('kd'))))
