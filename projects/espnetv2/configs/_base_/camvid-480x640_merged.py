"""Task: CamVid at 640 x 480, the 20 outputs of Cityscapes judged in its 11 classes.

Sky, building (with wall and background), pole, road, pavement, tree (vegetation and
terrain), sign (traffic light and sign), fence, car (with truck, bus and train),
pedestrian, bicyclist (rider, motorcycle, bicycle).
"""

_base_ = ['./camvid-480x640.py']
test_evaluator = dict(
    _delete_=True,
    type='mmkd_ext.MergedClassIoUMetric',
    class_map=[3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10, 1],
)
val_evaluator = test_evaluator
# nobody has labels of these 20 outputs here
train_pipeline = [one for one in _base_.train_pipeline if one.type != 'LoadAnnotations']
train_pipeline[2].pop('cat_max_ratio')
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
