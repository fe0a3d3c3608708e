"""SRRL and KD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Knowledge Distillation via Softmax Regression Representation Learning, ICLR 2021,
https://github.com/jingyang2017/KD_SRRL; all weights 1, tau 4, as in SimKD's comparison
on CIFAR-100.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = ['./srrl_resnet56_resnet8.py', './links/kd.py']
model = dict(distiller=dict(links=dict(loss_kd=_base_.pop('kd'))))
