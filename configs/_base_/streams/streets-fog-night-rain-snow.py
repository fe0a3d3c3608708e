"""Stream: toy streets in fog, at night, in rain and in snow, ten times over.

20 pictures a condition, every second frame of 4 drives, 128 x 256, in the layout and
the order of ACDC. After each round the clear val pictures tell how much of the source
is forgotten.
Draw the streets with `python projects/toy_streets/make.py --out data/streets --seed 0`.
"""

data_root = 'data/streets/'
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='mmseg.PackSegInputs'),
]
dataset = dict(
    type='mmkd_ext.ACDCDataset',
    data_root=data_root,
    split='train',
    pipeline=test_pipeline,
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(condition=None, **dataset),
)
test_evaluator = dict(type='mmkd_ext.ClassIoUMetric', iou_metrics=['mIoU'])
test_cfg = dict(
    type='mmkd_ext.ContinualAdaptLoop',
    rounds=10,
    domains=[
        dict(
            name=condition,
            dataset=dict(condition=condition, indices=list(range(0, 40, 2)), **dataset),
        )
        for condition in ('fog', 'night', 'rain', 'snow')
    ],
    source_eval=dict(
        interval='round',
        dataloader=dict(
            batch_size=4,
            num_workers=0,
            persistent_workers=False,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='mmseg.CityscapesDataset',
                data_root=data_root,
                data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
                pipeline=test_pipeline,
            ),
        ),
    ),
)
del dataset
