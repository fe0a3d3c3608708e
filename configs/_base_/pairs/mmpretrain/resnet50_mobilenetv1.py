"""Pair: ResNet-50 (76.55 % top-1) teaches MobileNetV1 (68.87 %) on ImageNet.

Figures: mmpretrain's model zoo, and the papers for the student. Papers take
torchvision's ResNet-50 (76.16 %).
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmpretrain::resnet/resnet50_8xb32_in1k.py',
        backbone=dict(_delete_=True, type='mmkd_ext.MobileNetV1'),
        head=dict(in_channels=1024),
    ),
    teacher=dict(cfg_path='mmpretrain::resnet/resnet50_8xb32_in1k.py'),
    teacher_ckpt='https://download.openmmlab.com/mmclassification/v0/resnet/'
    'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
)
