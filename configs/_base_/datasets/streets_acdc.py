# Toy street scenes in the layout of ACDC: unseen streets in fog, at night, in rain and
# in snow, 40 pictures each of 128 x 256. Draw them with
#   python projects/toy_streets/make.py --out data/streets --seed 0
_base_ = './acdc.py'
data_root = 'data/streets/'
conditions = ('fog', 'night', 'rain', 'snow')

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='mmseg.PackSegInputs'),
]

domains = [
    dict(
        name=condition,
        dataloader=dict(
            batch_size=1,
            num_workers=0,
            persistent_workers=False,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='mmkd_ext.ACDCDataset',
                data_root=data_root,
                condition=condition,
                split='train',
                pipeline=test_pipeline)),
        evaluator=dict(type='mmseg.IoUMetric', iou_metrics=['mIoU'], prefix=condition))
    for condition in conditions
]
test_dataloader = dict(
    num_workers=0, dataset=dict(data_root=data_root, pipeline=test_pipeline))
