"""Task: Cityscapes at 512x1024 for 40k iterations of 4 x 4 images.

As DIST trains, but for the 16 images: they are 2 on each of 8 GPUs there.
"""

_base_ = [
    '../runtime.py',
    '../schedules/dist_40k.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=4)
