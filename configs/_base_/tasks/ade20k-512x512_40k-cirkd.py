"""Task: ADE20K, 150 classes, 512x512, for 40k iterations.

As CIRKD trains there: 16 images, SGD at 0.02. They have 2 images on each of 8 GPUs.
"""

_base_ = [
    '../runtime.py',
    '../schedules/cirkd_40k.py',
    'mmseg::_base_/datasets/ade20k.py',
    'mmseg::_base_/default_runtime.py',
]
