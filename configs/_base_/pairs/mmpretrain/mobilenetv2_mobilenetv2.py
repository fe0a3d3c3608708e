"""Pair: MobileNetV2 of half width (64.60 % top-1) teaches itself on CIFAR-100.

Figure: RepDistiller, as trained by the config.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmkd_ext::plain/mmpretrain/mobilenetv2_1xb64-240e_cifar100.py'
    ),
    teacher=dict(
        cfg_path='mmkd_ext::plain/mmpretrain/mobilenetv2_1xb64-240e_cifar100.py'
    ),
    # made by: python tools/train.py \
    #   configs/plain/mmpretrain/mobilenetv2_1xb64-240e_cifar100.py \
    #   --work-dir work_dirs/cifar100/mobilenetv2
    teacher_ckpt='work_dirs/cifar100/mobilenetv2/epoch_240.pth',
)
