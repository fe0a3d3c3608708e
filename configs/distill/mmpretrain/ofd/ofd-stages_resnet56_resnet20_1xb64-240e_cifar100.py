"""OFD on the stages: ResNet-56 -> ResNet-20, CIFAR-100.

Paper: A Comprehensive Overhaul of Feature Distillation, ICCV 2019,
https://arxiv.org/abs/1904.01866; weight 1e-3, halved from the last stage down, as the
authors for CIFAR; the schedule is that of RepDistiller, theirs has 200 epochs of batch
128.
Command: python tools/train.py CONFIG
Expected: no figure for this pair is known to us; KD 70.66 % top-1 from 69.06
(RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet56_resnet20.py',
    '../../../_base_/links/ofd-stages.py',
]
model = dict(distiller=_base_.distiller)
