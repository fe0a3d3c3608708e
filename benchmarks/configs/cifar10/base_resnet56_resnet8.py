"""What the distillations of ResNet-8 on CIFAR-10 share: task, pair, teacher's weights.

Not to be run itself: it has no links.
"""

_base_ = ['../../../configs/_base_/tasks/cifar10_40e.py', './base_teacher.py']
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(_base_.network, backbone=dict(_base_.network.backbone, depth=8)),
    teacher=dict(_base_.network, data_preprocessor=_base_.data_preprocessor),
    # made by: python benchmarks/cifar10_teacher.py <folder>/resnet56-4bfd9763.th
    teacher_ckpt='work_dirs/cifar10/resnet56.pth',
)
