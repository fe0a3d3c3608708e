"""SSKD, stage two: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Knowledge Distillation Meets Self-Supervision, ECCV 2020,
https://arxiv.org/abs/2006.07114; weights, temperatures and crops without flips, as the
authors. Each picture in four views.
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

links = _base_.distiller.links
links.loss_sskd_similarity.preds_S.connector.channels = 64
links.loss_sskd_similarity.preds_T.connector.update(
    channels=64, stage_one='benchmarks/configs/cifar10/sskd-head_resnet56_resnet8.py'
)
model = dict(calculate_student_loss=False, distiller=_base_.distiller)
del links
