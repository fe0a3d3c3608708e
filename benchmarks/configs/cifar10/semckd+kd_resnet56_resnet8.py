"""SemCKD and KD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Cross-Layer Distillation with Semantic Calibration, AAAI 2021,
https://arxiv.org/abs/2012.03236; weight 400, with KD of tau 4, weight 1, as the
authors.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = ['./semckd_resnet56_resnet8.py', './links/kd.py']
model = dict(distiller=dict(links=dict(loss_kd=_base_.pop('kd'))))
