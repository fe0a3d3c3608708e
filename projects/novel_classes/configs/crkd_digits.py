"""CR-KD on digits: 5 to 9 are discovered, beside what stage one knows of 0 to 4.

Paper: Class-relation Knowledge Distillation for Novel Class Discovery, ICCV 2023,
https://arxiv.org/abs/2307.09158; tau 4 and weight 0.1, as the authors' code has them.
Command: mmkd train CONFIG --cfg-options model.teacher_ckpt=<of known_digits>
Expected: see benchmarks/results/novel_digits.json.
Status: unrun
"""

_base_ = ['./base_digits.py', './base_links.py']
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(
        _base_.network, head=dict(_base_.network.head, num_novel=_base_.num_novel)
    ),
    teacher=dict(_base_.network, data_preprocessor=_base_.data_preprocessor),
    # made by: mmkd train projects/novel_classes/configs/known_digits.py
    teacher_ckpt='work_dirs/known_digits/epoch_15.pth',
    inherit=['backbone', 'head.known'],
    distiller=_base_.distiller,
)
