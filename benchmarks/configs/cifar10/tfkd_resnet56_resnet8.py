"""Tf-KD from a virtual teacher: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Revisiting Knowledge Distillation via Label Smoothing Regularization, CVPR 2020,
https://arxiv.org/abs/1909.11723; tau 20 and a 0.1 of the authors' ResNet-18; their
multiplier 100 is of 100 classes, here it is 10. The ResNet-56 takes no part.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/tfkd-virtual.py',
]
_base_.distiller.links.loss_tfkd.loss.update(tau=20.0, loss_weight=1.0)
model = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.9))),
    teacher=None,
    teacher_ckpt=None,
    teachers={},
    distiller=_base_.distiller,
)
