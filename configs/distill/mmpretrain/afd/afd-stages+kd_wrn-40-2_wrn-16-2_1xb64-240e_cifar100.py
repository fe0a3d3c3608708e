"""AFD on the stages, with KD: WRN-40-2 -> WRN-16-2, CIFAR-100.

Paper: Show, Attend and Distill, AAAI 2021, https://arxiv.org/abs/2102.02973; weight
200, KD of weight 0.9 and tau 4, as the authors, who compare every block and not the
stages alone.
Command: python tools/train.py CONFIG
Expected: no figure is known to us; KD 74.92 % top-1 from 73.26 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/wrn-40-2_wrn-16-2.py',
    '../../../_base_/links/afd-stages+kd.py',
]
model = dict(distiller=_base_.distiller)
