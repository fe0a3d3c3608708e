"""The student alone on CIFAR-10 at 16 x 16: ResNet-20, from scratch on 5,000 pictures.

Command: CIFAR10_ROOT=... python tools/train.py CONFIG
Expected: no figure yet.
Status: unrun
"""

_base_ = ['./student_resnet20.py']
small = dict(type='Resize', scale=16)
train_pipeline, test_pipeline = (
    [*loader.dataset.pipeline[:-1], small, loader.dataset.pipeline[-1]]
    for loader in (_base_.train_dataloader, _base_.val_dataloader)
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
