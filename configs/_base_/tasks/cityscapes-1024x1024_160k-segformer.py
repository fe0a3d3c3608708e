"""Task: Cityscapes at 1024x1024 for 160k iterations of 8 x 1 images, for SegFormer."""

_base_ = [
    '../runtime.py',
    '../schedules/segformer_160k.py',
    'mmseg::_base_/datasets/cityscapes_1024x1024.py',
    'mmseg::_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=1, num_workers=4)
