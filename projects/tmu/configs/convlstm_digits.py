"""A ConvLSTM on moving digits, and as a teacher on other things.

Paper: Unsupervised Transfer Learning for Spatiotemporal Predictive Networks, ICML 2020,
https://arxiv.org/abs/2009.11763; its student alone, much smaller.
Command: mmkd train CONFIG, for teachers with --cfg-options
train_dataloader.dataset.kind=boxes (or blobs)
Expected: MSE 9.25 +- 0.25 of 16 videos, 8.92 +- 0.35 of 1,000
(seeds 0 to 2, CPU); benchmarks/results/tmu.json.
Status: measured
"""

_base_ = './base_video.py'
custom_imports = dict(imports=['projects.tmu'])
model = dict(type='mmkd_ext.ConvLSTM', window=3, width=16)
train_dataloader = dict(
    dict(_base_.loader, batch_size=8),
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='mmkd_ext.MovingSprites', kind='digits', length=1000),
)
val_dataloader = dict(
    _base_.loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmkd_ext.MovingSprites', length=200, split='test'),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd_ext.NextFrameError')
test_evaluator = val_evaluator
