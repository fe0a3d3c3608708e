"""KD on the logits: VGG-13 -> MobileNetV2, CIFAR-100.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 4, 0.9 of it and 0.1 of the cross entropy, as
RepDistiller. Learning rate 0.01.
Command: python tools/train.py CONFIG
Expected: 67.37 % top-1 (in the table of DKD's authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/vgg13_mobilenetv2.py',
    '../../../_base_/links/kd-head.py',
]
model = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.1))), distiller=_base_.distiller
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
