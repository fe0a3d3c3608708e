"""MLLD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Multi-Level Logit Distillation, CVPR 2023,
https://github.com/Jin-Ying/Multi-Level-Logit-Distillation; temperatures and weights 0.9
and 0.1, as the authors for CIFAR-100; the learning rate is that of all here. Each
picture in two views.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/mlld-head.py',
]
*geometry, pack = _base_.train_dataloader.dataset.pipeline
train_dataloader = dict(
    collate_fn=_base_.collate_fn,
    dataset=dict(pipeline=[*geometry, _base_.two_views]),
)
model = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.2))), distiller=_base_.distiller
)
del geometry, pack
