"""RKD and KD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Relational Knowledge Distillation, CVPR 2019, https://arxiv.org/abs/1904.05068;
weights 25 and 50, as RepDistiller, with KD of tau 4, weight 1.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = ['./rkd_resnet56_resnet8.py', './links/kd.py']
model = dict(distiller=dict(links=dict(loss_kd=_base_.pop('kd'))))
