"""Inspired by FerKD: ResNet-34 -> ResNet-18, ImageNet.

Paper: FerKD, ICCV 2023, https://arxiv.org/abs/2312.17473; another pair and schedule than
there; thresholds and the chance of mixing are ours.
Command: mmkd store CONFIG --out DIR --epochs 4 --format float16; then
bash tools/dist_train.sh CONFIG 8 --cfg-options model.teacher_store=DIR
Expected: nothing is published for this pair.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/ferkd-head.py',
]
model = dict(distiller=_base_.distiller, calculate_student_loss=False)
load, *augment, pack = _base_.train_pipeline
mixed = dict(type='mmkd_ext.SelfMix', transforms=augment)
train_dataloader = dict(dataset=dict(pipeline=[load, mixed, pack]))
del load, augment, pack, mixed
