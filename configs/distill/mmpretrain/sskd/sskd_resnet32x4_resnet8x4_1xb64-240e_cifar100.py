"""SSKD, stage two: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Knowledge Distillation Meets Self-Supervision, ECCV 2020,
https://arxiv.org/abs/2006.07114; weights, temperatures and crops without flips as the
authors. Stage one comes first: sskd-head_resnet32x4_resnet8x4_1xb64-60e_cifar100.py.
Command: python tools/train.py CONFIG
Expected: 76.20 % top-1 from 72.51; KD 73.33 (the authors, with a teacher of 79.63 %).
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
_base_.distiller.links.loss_sskd_similarity.preds_T.connector.stage_one = (
    'configs/distill/mmpretrain/sskd/'
    'sskd-head_resnet32x4_resnet8x4_1xb64-60e_cifar100.py'
)
model = dict(calculate_student_loss=False, distiller=_base_.distiller)
