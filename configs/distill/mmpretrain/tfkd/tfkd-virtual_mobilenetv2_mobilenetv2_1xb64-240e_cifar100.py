"""Tf-KD from a virtual teacher: MobileNetV2 -> MobileNetV2, CIFAR-100.

Paper: Revisiting Knowledge Distillation via Label Smoothing Regularization, CVPR 2020,
https://arxiv.org/abs/1909.11723; tau 40 and a 0.95 of the authors' MobileNetV2, which
is twice as wide as this one; the schedule is that of RepDistiller, learning rate 0.01.
No network teaches.
Command: python tools/train.py CONFIG
Expected: no figure of this network is known to us; 70.88 % top-1 from 68.38 for the
authors' wider one.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/mobilenetv2_mobilenetv2.py',
    '../../../_base_/links/tfkd-virtual.py',
]
model = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.05))),
    teacher=None,
    teacher_ckpt=None,
    teachers={},
    distiller=_base_.distiller,
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
