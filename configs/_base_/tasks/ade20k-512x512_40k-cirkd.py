"""Task: ADE20K, 150 classes, 512x512, for 40k iterations.

The schedule is what CIRKD trains Cityscapes with, 4 x 4 images.
"""

_base_ = [
    '../runtime.py',
    '../schedules/cirkd_40k.py',
    'mmseg::_base_/datasets/ade20k.py',
    'mmseg::_base_/default_runtime.py',
]
