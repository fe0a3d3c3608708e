"""Stream: from Cityscapes to C-Driving, cloudy, rainy, snowy, overcast, ten times over.

Pictures of BDD100K by weather, as Open Compound Domain Adaptation (CVPR 2020) sorted
them; val, at their own 1280 x 720, one at a time in the order of their names. They are
single pictures of many drives, so neighbours have little in common. The layout below
`data_root` was not checked against the files; see `mmkd_ext.CDrivingDataset`.

Expects data/cdriving/val/{compound/{cloudy,rainy,snowy},open/overcast}/.
"""

data_root = 'data/cdriving/'
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='mmseg.PackSegInputs'),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_evaluator = dict(type='mmkd_ext.ClassIoUMetric')
test_cfg = dict(
    type='mmkd_ext.ContinualAdaptLoop',
    rounds=10,
    domains=[
        dict(
            name=condition,
            dataset=dict(
                type='mmkd_ext.CDrivingDataset',
                data_root=data_root,
                condition=condition,
                split='val',
                pipeline=test_pipeline,
            ),
        )
        for condition in ('cloudy', 'rainy', 'snowy', 'overcast')
    ],
)
