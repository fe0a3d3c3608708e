"""Task: Cityscapes at 512x1024 for 40k iterations of 4 x 4 images.

As CIRKD trains, but for the 16 images: they are 2 on each of 8 GPUs there. What is
compared within the images of one GPU needs a config `8xb2` to be the same.
"""

_base_ = [
    '../runtime.py',
    '../schedules/cirkd_40k.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=4)
