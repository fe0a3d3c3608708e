"""Pair: WRN-40-2 (75.61 % top-1) teaches WRN-16-2 (73.26 %) on CIFAR-100.

Figures: RepDistiller, as trained by the two configs.
"""

model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        cfg_path='mmkd_ext::plain/mmpretrain/wrn-16-2_1xb64-240e_cifar100.py'
    ),
    teacher=dict(cfg_path='mmkd_ext::plain/mmpretrain/wrn-40-2_1xb64-240e_cifar100.py'),
    # made by: python tools/train.py \
    #   configs/plain/mmpretrain/wrn-40-2_1xb64-240e_cifar100.py \
    #   --work-dir work_dirs/cifar100/wrn-40-2
    teacher_ckpt='work_dirs/cifar100/wrn-40-2/epoch_240.pth',
)
