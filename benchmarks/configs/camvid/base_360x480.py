"""What trains on CamVid at its own size, 480 x 360, shares.

Not to be run itself. Crops cover as much of a picture as those of 240 x 180. Tests are at
240 x 180 unless a config takes `whole_pipeline`.
"""

_base_ = '../../../configs/_base_/tasks/camvid-180x240.py'
crop_size = (320, 448)

train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=(480, 360))
train_pipeline[3].update(crop_size=crop_size)
whole_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
