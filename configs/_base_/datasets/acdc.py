# ACDC: fog, night, rain and snow as four domains to test on, one after another.
# Expects data/acdc/{rgb_anon,gt}/<condition>/<split>/<drive>/. Continual test-time
# adaptation reads the 400 pictures of each condition's train split, in order.
dataset_type = 'mmkd_ext.ACDCDataset'
data_root = 'data/acdc/'
split = 'train'
conditions = ('fog', 'night', 'rain', 'snow')

test_pipeline = [
    dict(type='LoadImageFromFile'),
    # scaled views are made from the picture as it was before `Resize`
    dict(
        type='mmkd_ext.KeepOriginal',
        transforms=[
            dict(type='Resize', scale=(960, 540), keep_ratio=True),
            # after `Resize`: predictions are compared at the labels' own size
            dict(type='mmseg.LoadAnnotations'),
            dict(type='mmseg.PackSegInputs'),
        ]),
]

domains = [
    dict(
        name=condition,
        dataloader=dict(
            batch_size=1,
            num_workers=2,
            persistent_workers=False,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type=dataset_type,
                data_root=data_root,
                condition=condition,
                split=split,
                pipeline=test_pipeline)),
        evaluator=dict(type='mmseg.IoUMetric', iou_metrics=['mIoU'], prefix=condition))
    for condition in conditions
]

# All four together, for `tools/test.py`.
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        condition=None,
        split=split,
        pipeline=test_pipeline))
test_evaluator = dict(type='mmseg.IoUMetric', iou_metrics=['mIoU'])
