"""Do memories of other videos help to predict moving digits, of few and of many videos?

    python benchmarks/repeat.py benchmarks/experiments/tmu.py

Everything is made from scikit-learn's digits and random numbers. `MSE` is the squared
error of a frame, summed over its pixels, so less is better, and a gain is what is less.
"""

name = 'tmu'
title = 'Memory transfer to moving digits'
configs = 'projects/tmu/configs'
teachers = ('boxes', 'blobs')
length = 'train_dataloader.dataset.length'
tmu = dict(
    config=f'{configs}/tmu_digits.py',
    takes={f'model.teachers.{name}.ckpt': name for name in teachers},
)
alone = dict(config=f'{configs}/convlstm_digits.py')
runs = dict(
    **{
        name: dict(
            alone,
            once=True,
            tested=False,
            options={'train_dataloader.dataset.kind': name},
        )
        for name in teachers
    },
    few=dict(alone, title='16 videos', options={length: 16}),
    few_gates=dict(
        config=f'{configs}/gates_digits.py',
        title='16 videos, the bank without teachers',
        options={length: 16},
    ),
    few_tmu=dict(tmu, over='few', title='16 videos, TMU', options={length: 16}),
    few_mean=dict(
        takes=tmu['takes'],
        over='few',
        config=f'{configs}/mean_digits.py',
        title='16 videos, TMU, the mean of the memories',
        options={length: 16},
    ),
    many=dict(alone, title='1,000 videos'),
    many_tmu=dict(tmu, over='many', title='1,000 videos, TMU'),
)
tests = dict(val={})
seeds = (0, 1, 2)
del configs, teachers, length, tmu, alone
