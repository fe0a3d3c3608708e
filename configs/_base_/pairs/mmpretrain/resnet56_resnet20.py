"""Pair: ResNet-56 (72.34 % top-1) teaches ResNet-20 (69.06 %) on CIFAR-100.

Figures: RepDistiller, as trained by the two configs.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmkd_ext::plain/mmpretrain/resnet20_1xb64-240e_cifar100.py'
    ),
    teacher=dict(cfg_path='mmkd_ext::plain/mmpretrain/resnet56_1xb64-240e_cifar100.py'),
    # made by: python tools/train.py \
    #   configs/plain/mmpretrain/resnet56_1xb64-240e_cifar100.py \
    #   --work-dir work_dirs/cifar100/resnet56
    teacher_ckpt='work_dirs/cifar100/resnet56/epoch_240.pth',
)
