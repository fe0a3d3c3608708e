"""How many labels of CamVid does a teacher of Cityscapes replace?

CAMVID_ROOT=<folder> ESPNETV2_ROOT=<folder> \
    python benchmarks/repeat.py benchmarks/experiments/camvid_classmap.py

ESPNETV2_ROOT holds the converted weights of projects/espnetv2. The teacher predicts 20
classes, the student 11; `ClassMap` is between them. With fewer labels the student alone
sees the labelled pictures, the taught one all of them, the others without labels; they
are evenly spread over the drives. The teacher's own row is that of its predictions at
640 x 480, merged.
"""

name = 'camvid_classmap'
title = 'a teacher of Cityscapes, a semantic FPN on CamVid'
configs = 'projects/espnetv2/configs'
pair = f'{configs}/kd-classmap_espnetv2-w20_fpn-r18-w8_camvid'
weights = '{{$ESPNETV2_ROOT:data/espnetv2}}'
pictures = 305
runs = dict(
    teacher=dict(
        config=f'{configs}/espnetv2-w20_cityscapes-to-camvid.py',
        checkpoint=f'{weights}/espnetv2-w20.pth',
        title='the teacher, 640 x 480',
        once=True,
    ),
    **{
        f'labels_{share}': dict(
            config='benchmarks/configs/camvid/student_fpn-r18-w8.py',
            title=f'labels of {share} %',
            options={
                'model.decode_head.loss_decode.avg_non_ignore': True,
                # as IgnoreLabels chooses
                'train_dataloader.dataset.indices': [
                    i for i in range(pictures) if i * share % 100 < share
                ],
            },
        )
        for share in (100, 30, 10)
    },
    **{
        f'both_{share}': dict(
            config=f'{pair}.py',
            title=f'labels of {share} % and the teacher',
            options={
                'train_dataloader.dataset.pipeline.2.keep': share,
                'train_dataloader.dataset.pipeline.2.of': 100,
            },
        )
        for share in (100, 30, 10)
    },
    teacher_alone=dict(config=f'{pair}-unlabelled.py', title='the teacher alone'),
)
tests = dict(
    val={},
    dusk={'test_dataloader.dataset.ann_file': 'splits/dusk.txt'},
)
seeds = (0, 1, 2)
rare = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
del configs, pair, weights, pictures
