"""Task: VOC 2012 with SBD's labels, 21 classes, 512x512, for 40k iterations.

The schedule is what CIRKD trains Cityscapes with, 4 x 4 images.
"""

_base_ = [
    '../runtime.py',
    '../schedules/cirkd_40k.py',
    'mmseg::_base_/datasets/pascal_voc12_aug.py',
    'mmseg::_base_/default_runtime.py',
]
