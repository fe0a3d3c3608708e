"""What do two stages and two teachers give a small network of where to look?

    python benchmarks/repeat.py benchmarks/experiments/video_saliency.py

Everything is made from random numbers. `CC` is the correlation with the made map in
percent, `KL` the divergence from it, `frames/s` that of one video at a time.
"""

name = 'video_saliency'
title = 'Attention in toy videos'
configs = 'projects/video_saliency/configs'
teachers = ('spatial', 'temporal')
distilled = dict(
    config=f'{configs}/distilled_attention.py',
    over='alone',
    takes={f'model.teachers.{name}.ckpt': name for name in teachers},
)
runs = dict(
    **{
        name: dict(
            config=f'{configs}/teacher-{name}_attention.py',
            once=True,
            title=f'{name} teacher',
        )
        for name in teachers
    },
    alone=dict(config=f'{configs}/student_attention.py', title='student alone'),
    two=dict(distilled, title='student, two stages'),
    one=dict(
        distilled,
        title='student, stage two alone',
        options={'model.calculate_student_loss.begin': 0},
    ),
)
tests = dict(val={})
seeds = (0, 1, 2)
del configs, teachers, distilled
