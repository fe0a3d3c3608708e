"""CR-KD on CIFAR-10: dog to truck are discovered, beside airplane to deer.

Paper: Class-relation Knowledge Distillation for Novel Class Discovery, ICCV 2023,
https://arxiv.org/abs/2307.09158; tau 4 and weight 0.1, as the authors' code has them.
Command: CIFAR10_ROOT=... mmkd train CONFIG
Expected: nothing was measured; the paper has CIFAR-100, of 50,000 pictures.
Status: unrun
"""

_base_ = ['./base_cifar10.py', './base_links.py']
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        _base_.network, head=dict(_base_.network.head, num_novel=_base_.num_novel)
    ),
    teacher=dict(_base_.network, data_preprocessor=_base_.data_preprocessor),
    # made by: mmkd train projects/novel_classes/configs/known_cifar10.py
    teacher_ckpt='work_dirs/known_cifar10/epoch_40.pth',
    inherit=['backbone', 'head.known'],
    distiller=_base_.distiller,
)
