"""MLLD on the logits: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Multi-Level Logit Distillation, CVPR 2023,
https://github.com/Jin-Ying/Multi-Level-Logit-Distillation; temperatures and weights 0.9
and 0.1 as the authors, learning rate 0.025. The strong view is RandAugment(2, 10) of
the weak one.
Command: python tools/train.py CONFIG
Expected: 77.08 % top-1 from 72.50 (in the table of Logit Standardization in Knowledge
Distillation, CVPR 2024).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/mlld-head.py',
]
train_dataloader = dict(
    collate_fn=_base_.collate_fn,
    dataset=dict(pipeline=[*_base_.train_pipeline[:-1], _base_.two_views]),
)
model = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.2))), distiller=_base_.distiller
)
optim_wrapper = dict(optimizer=dict(lr=0.025))
