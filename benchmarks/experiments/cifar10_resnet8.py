"""Which methods help ResNet-8 on a tenth of CIFAR-10? The teacher saw all of it.

python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py

with `CIFAR10_ROOT` set to a folder that holds `train/` and `val/`, a folder a class.
The teacher is `resnet56-4bfd9763.th` of
https://github.com/akamaster/pytorch_resnet_cifar10, after `python
benchmarks/cifar10_teacher.py <that file>`. The student alone stands there twice: with
the schedule of all, and with twice as many epochs.
"""

name = 'cifar10_resnet8'
title = 'ResNet-8 on 5,000 pictures of CIFAR-10'
student = 'benchmarks/configs/cifar10/student_resnet8.py'
connector = 'model.distiller.links.loss_sskd_similarity.preds_T.connector'
stage_one = {f'{connector}.checkpoint': 'sskd_head'}
runs = dict(
    teacher=dict(
        config='benchmarks/configs/cifar10/teacher_resnet56.py',
        once=True,
        checkpoint='work_dirs/cifar10/resnet56.pth',
    ),
    student=dict(config=student, title='student alone'),
    student_long=dict(
        config=student,
        title='student alone, 80 epochs',
        options={
            'train_cfg.max_epochs': 80,
            'train_cfg.val_interval': 80,
            'param_scheduler.1.end': 80,
            'param_scheduler.1.T_max': 79,
        },
    ),
    sskd_head=dict(
        config='benchmarks/configs/cifar10/sskd-head_resnet56_resnet8.py',
        teacher='teacher',
        once=True,
        tested=False,
        title='SSKD, stage one',
    ),
    **{
        file.replace('+', '_'): dict(
            config=f'benchmarks/configs/cifar10/{file}_resnet56_resnet8.py',
            teacher=None if file in ('tfkd', 'tolerant') else 'teacher',
            title=title,
            takes=stage_one if file == 'sskd' else {},
        )
        for file, title in {
            'kd': 'KD',
            'dkd': 'DKD',
            'dist': 'DIST',
            'at': 'AT',
            'fitnets': 'FitNets',
            'reviewkd': 'ReviewKD',
            'mgd': 'MGD',
            'at+kd': 'AT and KD',
            'fitnets+kd': 'FitNets and KD',
            'reviewkd+kd': 'ReviewKD and KD',
            'wsld': 'WSLD',
            'mlld': 'MLLD',
            'tfkd': 'Tf-KD, virtual teacher',
            'tolerant': "the tolerant teacher's term",
            'rkd': 'RKD',
            'vid': 'VID',
            'ofd': 'OFD',
            'fsp': 'FSP, then the task',
            'semckd': 'SemCKD',
            'afd': 'AFD',
            'srrl': 'SRRL',
            'simkd': 'SimKD',
            'crd': 'CRD',
            'rkd+kd': 'RKD and KD',
            'semckd+kd': 'SemCKD and KD',
            'afd+kd': 'AFD and KD',
            'srrl+kd': 'SRRL and KD',
            'crd+kd': 'CRD and KD',
            'sskd': 'SSKD',
        }.items()
    },
)
tests = dict(val={})
seeds = (0, 1, 2)
del student, connector, stage_one
