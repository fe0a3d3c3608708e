r"""What does int8 cost ResNet-8, and does a teacher give it back?

CIFAR10_ROOT=<folder> python benchmarks/repeat.py \
    benchmarks/experiments/cifar10_resnet8_int8.py

`cifar10_resnet8.py` says what the folder holds and where the teacher is from. Float
students, alone and distilled; the same after quantisation without training, which only
looks at an epoch; and students that are quantised from half of the schedule on, alone
and under distillation.
"""

name = 'cifar10_resnet8_int8'
title = 'ResNet-8 on 5,000 pictures of CIFAR-10, in float32 and in int8'
folder = 'benchmarks/configs/cifar10'
# the third hook is QuantizeHook
calibration = {
    'train_cfg.max_epochs': 1,
    'optim_wrapper.optimizer.lr': 0.0,
    'custom_hooks.2.start': 0,
    'custom_hooks.2.freeze': 78,
    'custom_hooks.2.freeze_norms': 0,
}
alone = f'{folder}/student-int8_resnet8.py'
distilled = f'{folder}/kd-int8_resnet56_resnet8.py'
runs = dict(
    teacher=dict(
        config=f'{folder}/teacher_resnet56.py',
        once=True,
        checkpoint='work_dirs/cifar10/resnet56.pth',
    ),
    student=dict(config=f'{folder}/student_resnet8.py', title='student, float'),
    kd=dict(
        config=f'{folder}/kd_resnet56_resnet8.py',
        teacher='teacher',
        title='KD, float',
    ),
    student_after=dict(
        config=alone,
        takes={'load_from': 'student'},
        options=calibration,
        title='student, int8 after training',
    ),
    kd_after=dict(
        config=distilled,
        teacher='teacher',
        takes={'model.student_ckpt': 'kd'},
        options=calibration,
        title='KD, int8 after training',
    ),
    student_int8=dict(config=alone, title='student, trained in int8'),
    kd_int8=dict(config=distilled, teacher='teacher', title='KD, trained in int8'),
)
tests = dict(val={})
seeds = (0, 1, 2)
del folder, calibration, alone, distilled
