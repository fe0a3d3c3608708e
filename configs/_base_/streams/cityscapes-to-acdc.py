"""Stream: from Cityscapes to ACDC, fog, night, rain and snow, ten times over.

The protocol of CoTTA (CVPR 2022) and those that followed: the 400 pictures of each
condition's train split, in the order of their names, one at a time, at 960 x 540;
predictions are brought back to the labels' 1920 x 1080 as logits. The short protocol is
`test_cfg = dict(rounds=3)`. The mean is that of all cells, not of one pooled matrix.

Expects data/acdc/{rgb_anon,gt}/<condition>/train/<drive>/. Whether the source is
forgotten is measured by a child that adds `test_cfg = dict(source_eval=dict(
dataloader=..., interval='round'))` with Cityscapes' val.
"""

_base_ = ['../datasets/acdc.py']
test_evaluator = dict(type='mmkd_ext.ClassIoUMetric')
test_cfg = dict(
    type='mmkd_ext.ContinualAdaptLoop',
    rounds=10,
    domains=[
        dict(name=domain.name, dataset=domain.dataloader.dataset)
        for domain in _base_.domains
    ],
)
