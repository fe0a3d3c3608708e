"""SemCKD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Cross-Layer Distillation with Semantic Calibration, AAAI 2021,
https://arxiv.org/abs/2012.03236; weight 400, as the authors.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/semckd-stages+kd.py',
]
widths = (16, 32, 64)
_base_.distiller.links.loss_semckd.loss.update(
    student_channels=widths, teacher_channels=widths
)
_base_.distiller.links.pop('loss_kd')
model = dict(distiller=_base_.distiller)
