"""SSKD, stage one: the teacher's head: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Knowledge Distillation Meets Self-Supervision, ECCV 2020,
https://arxiv.org/abs/2006.07114; 60 epochs of learning rate 0.05, divided by 10 after
30 and 45, as the authors. Of the student nothing is trained.
Command: python tools/train.py CONFIG
Expected: no figure is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/sskd.py',
]
train_dataloader = dict(
    collate_fn=_base_.collate_fn,
    dataset=dict(pipeline=[_base_.train_pipeline[0], _base_.four_views]),
)
model = _base_.stage_one
train_cfg = dict(max_epochs=60)
param_scheduler = dict(milestones=[30, 45])
val_cfg = val_dataloader = val_evaluator = None
default_hooks = dict(checkpoint=dict(save_best=None, student_file=False))
