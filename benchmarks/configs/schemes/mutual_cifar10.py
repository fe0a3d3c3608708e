"""Deep mutual learning of ResNet-8 and ResNet-20 on CIFAR-10.

Paper: Deep Mutual Learning, CVPR 2018, https://arxiv.org/abs/1706.00384; tau 1, weight 1.
Command: python tools/train.py CONFIG
Expected: nothing is published for 5,000 pictures.
Status: unrun
"""

_base_ = ['../../../configs/_base_/tasks/cifar10_40e.py', '../cifar10/base_teacher.py']
model = dict(
    type='mmkd_ext.MutualDistill',
    architecture=dict(_base_.network, backbone=dict(_base_.network.backbone, depth=8)),
    teachers=dict(
        resnet20=dict(
            model=dict(
                _base_.network,
                data_preprocessor=_base_.data_preprocessor,
                backbone=dict(_base_.network.backbone, depth=20),
            )
        )
    ),
    at='head',
)
