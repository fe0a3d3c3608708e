"""Pair: ResNet-50 (76.55 % top-1) teaches MobileNetV2 (71.86 %) on ImageNet.

Figures: mmpretrain's model zoo, whose schedule of MobileNetV2 is longer than 100 epochs.
Most papers take MobileNetV1 as the student: resnet50_mobilenetv1.py.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(cfg_path='mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py'),
    teacher=dict(cfg_path='mmpretrain::resnet/resnet50_8xb32_in1k.py'),
    teacher_ckpt='https://download.openmmlab.com/mmclassification/v0/resnet/'
    'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
)
