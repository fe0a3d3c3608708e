"""SSKD, stage one: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Knowledge Distillation Meets Self-Supervision, ECCV 2020,
https://arxiv.org/abs/2006.07114; 10 epochs instead of 60. Nothing of the student is
trained.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/sskd.py',
]
train_dataloader = dict(
    collate_fn=_base_.collate_fn,
    dataset=dict(
        pipeline=[*_base_.train_dataloader.dataset.pipeline[:2], _base_.four_views]
    ),
)

_base_.stage_one.distiller.links.loss_sskd_head.loss.channels = 64
model = _base_.stage_one
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=10, T_max=9),
]
train_cfg = dict(max_epochs=10)
val_cfg = val_dataloader = val_evaluator = None
default_hooks = dict(checkpoint=dict(student_file=False))
