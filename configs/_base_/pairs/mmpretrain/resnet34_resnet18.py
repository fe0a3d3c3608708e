"""Pair: ResNet-34 (73.62 % top-1) teaches ResNet-18 (69.90 %) on ImageNet.

Figures: mmpretrain's model zoo. Papers take torchvision's ResNet-34 (73.31 %). Both give
all four stages, for methods that compare them.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmpretrain::resnet/resnet18_8xb32_in1k.py',
        backbone=dict(out_indices=(0, 1, 2, 3)),
    ),
    teacher=dict(
        cfg_path='mmpretrain::resnet/resnet34_8xb32_in1k.py',
        backbone=dict(out_indices=(0, 1, 2, 3)),
    ),
    teacher_ckpt='https://download.openmmlab.com/mmclassification/v0/resnet/'
    'resnet34_8xb32_in1k_20210831-f257d4e6.pth',
)
