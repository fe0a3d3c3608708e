"""A tolerant teacher, trained before it teaches: ResNet-56 -> ResNet-20, CIFAR-100.

Paper: Training Deep Neural Networks in Generations, AAAI 2019,
https://arxiv.org/abs/1805.05551; eta 0.6 and the 5 highest scores, both not verified.
The teacher of the pair stands in the student's place and no network teaches; the file
that it leaves teaches in kd_resnet56_resnet20.
Command: python tools/train.py CONFIG
Expected: no figure is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet56_resnet20.py',
    '../../../_base_/links/tolerant-head.py',
]
model = dict(
    architecture=dict(
        cfg_path=_base_.model.teacher.cfg_path,
        head=dict(loss=dict(loss_weight=0.6)),
    ),
    teacher=None,
    teacher_ckpt=None,
    teachers={},
    distiller=_base_.distiller,
)
