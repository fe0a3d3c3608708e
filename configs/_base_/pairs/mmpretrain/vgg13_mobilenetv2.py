"""Pair: VGG-13 (74.64 % top-1) teaches MobileNetV2 of half width on CIFAR-100.

Figures: RepDistiller, as trained by the two configs.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmkd_ext::plain/mmpretrain/mobilenetv2_1xb64-240e_cifar100.py'
    ),
    teacher=dict(cfg_path='mmkd_ext::plain/mmpretrain/vgg13_1xb64-240e_cifar100.py'),
    # made by: python tools/train.py \
    #   configs/plain/mmpretrain/vgg13_1xb64-240e_cifar100.py \
    #   --work-dir work_dirs/cifar100/vgg13
    teacher_ckpt='work_dirs/cifar100/vgg13/epoch_240.pth',
)
