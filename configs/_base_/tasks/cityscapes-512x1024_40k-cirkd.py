"""Task: Cityscapes at 512x1024 for 40k iterations of 4 x 4 images, as CIRKD trains."""

_base_ = [
    '../runtime.py',
    '../schedules/cirkd_40k.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=4)
