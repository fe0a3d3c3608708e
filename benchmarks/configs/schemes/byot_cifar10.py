"""Be Your Own Teacher on CIFAR-10: ResNet-20 with an exit after each of two stages.

Paper: Be Your Own Teacher, ICCV 2019, https://arxiv.org/abs/1905.08094; weights and tau
are those of MMRazor's `byot`, which has ResNet-18. The exits are plainer than there, and
their features are not compared. They are no part of the student.
Command: python tools/train.py CONFIG
Expected: nothing is published for 5,000 pictures.
Status: unrun
"""

_base_ = [
    '../../../configs/_base_/tasks/cifar10_40e.py',
    '../cifar10/base_teacher.py',
    './links/byot.py',
]
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(_base_.network, backbone=dict(_base_.network.backbone, depth=20)),
    teachers={},
    distiller=_base_.distiller,
)
