"""Stream: from Cityscapes to SHIFT, rain, fog, dusk and night, ten times over.

Discrete images of val, front camera, at their own size, one at a time in the order of
their names; which sequences a domain has is read from `seq.csv`. Not the protocol of
SHIFT's challenge, which starts anew with each continuous sequence. The names of folders
and columns were not checked against the files; see `mmkd_ext.SHIFTDataset`. Of
Cityscapes' 19 classes 13 occur in the truth, and every vehicle counts as a car.

Expects data/shift/discrete/images/val/front/{img,semseg,seq.csv}, unpacked.
"""

data_root = 'data/shift/'
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmkd_ext.LoadSHIFTAnnotations'),
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
            name=name,
            dataset=dict(
                type='mmkd_ext.SHIFTDataset',
                data_root=data_root,
                split='val',
                where=where,
                pipeline=test_pipeline,
            ),
        )
        for name, where in (
            ('rain', dict(start_weather_coarse='rainy')),
            ('fog', dict(start_weather_coarse='foggy')),
            ('dusk', dict(start_timeofday_coarse='dawn/dusk')),
            ('night', dict(start_timeofday_coarse='night')),
        )
    ],
)
