"""CRD and KD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699; as crd_*, with KD of tau 4, weight 1, as RepDistiller.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = ['./crd_resnet56_resnet8.py', './links/kd.py']
model = dict(distiller=dict(links=dict(loss_kd=_base_.pop('kd'))))
