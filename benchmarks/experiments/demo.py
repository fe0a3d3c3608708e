"""`make demo`: does distillation help on the toy street scenes?

One seed: make demo. Repeated:

    python benchmarks/repeat.py benchmarks/experiments/demo.py
"""

name = 'demo'
title = 'CWD on toy street scenes'
runs = dict(
    teacher=dict(config='benchmarks/configs/demo/teacher.py', once=True),
    student=dict(config='benchmarks/configs/demo/student.py', title='student alone'),
    distilled=dict(
        config='benchmarks/configs/demo/distilled.py',
        teacher='teacher',
        title='student distilled',
    ),
)
tests = dict(val={})
seeds = (0, 1, 2)
