"""CRD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699; weight 0.8, as RepDistiller, and a tenth of its 16384
negatives, as there are a tenth of the pictures.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/crd-neck.py',
]
_base_.distiller.links.loss_crd.loss.update(
    samples=5000, student_channels=64, teacher_channels=64, negatives=1638
)
model = dict(distiller=_base_.distiller)
custom_hooks = [*_base_.custom_hooks, dict(type='mmkd_ext.CRDClassesHook')]
