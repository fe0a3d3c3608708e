"""Pair: ResNet-32x4 (79.42 % top-1) teaches ResNet-8x4 (72.50 %) on CIFAR-100.

Figures: RepDistiller, as trained by the two configs.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmkd_ext::plain/mmpretrain/resnet8x4_1xb64-240e_cifar100.py'
    ),
    teacher=dict(cfg_path='mmkd_ext::plain/mmpretrain/resnet32x4_1xb64-240e_cifar100.py'),
    # made by: python tools/train.py \
    #   configs/plain/mmpretrain/resnet32x4_1xb64-240e_cifar100.py \
    #   --work-dir work_dirs/cifar100/resnet32x4
    teacher_ckpt='work_dirs/cifar100/resnet32x4/epoch_240.pth',
)
