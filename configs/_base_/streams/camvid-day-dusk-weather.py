"""Stream: CamVid's day clip, its dusk drive, and rendered weather on the day clip.

For a source that was trained on `train`, by day: the day clip (`val`, 101 pictures, as a
warm-up that should need no adaptation), the drive at dusk (62), then the day clip in
fog, at night, in rain and in snow, laid over it by `mmkd_ext.Corrupt`, the same in every
round. Dusk is the only real change of weather or light here. Pictures at 240 x 180,
judged at 480 x 360, in the order of the lists. The data set is looked for in
``$CAMVID_ROOT``, by default ``data/camvid``.
"""

data_root = '{{$CAMVID_ROOT:data/camvid}}'
severity = 3
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_evaluator = dict(type='mmkd_ext.ClassIoUMetric')
test_cfg = dict(
    type='mmkd_ext.ContinualAdaptLoop',
    rounds=10,
    domains=[
        dict(
            name=name,
            dataset=dict(
                type='mmkd_ext.CamVidDataset',
                data_root=data_root,
                ann_file=f'splits/{clip}.txt',
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(240, 180), keep_ratio=True),
                    *weather,
                    # after `Resize`: predictions are compared at the labels' own size
                    dict(type='mmseg.LoadAnnotations'),
                    dict(type='mmseg.PackSegInputs'),
                ],
            ),
        )
        for name, clip, weather in (
            ('day', 'val', ()),
            ('dusk', 'dusk', ()),
            *(
                (
                    kind,
                    'val',
                    (dict(type='mmkd_ext.Corrupt', kind=kind, severity=severity),),
                )
                for kind in ('fog', 'night', 'rain', 'snow')
            ),
        )
    ],
)
