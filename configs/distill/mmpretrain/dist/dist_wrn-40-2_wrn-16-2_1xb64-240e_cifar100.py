"""DIST on the logits: WRN-40-2 -> WRN-16-2, CIFAR-100.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 4, weight 2, as the authors have it for CIFAR-100.
Command: python tools/train.py CONFIG
Expected: no figure of this pair is known to us; KD 74.92 from 73.26 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/wrn-40-2_wrn-16-2.py',
    '../../../_base_/links/dist-head.py',
]
model = dict(distiller=_base_.distiller)
