"""FSP for 30 epochs, then the task for 240: ResNet-56 -> ResNet-20, CIFAR-100.

Paper: A Gift from Knowledge Distillation, CVPR 2017,
https://openaccess.thecvf.com/content_cvpr_2017/html/Yim_A_Gift_From_CVPR_2017_paper.html;
weight 50 and 30 epochs as RepDistiller, which has one pair of layers more, from the
first convolution on, and starts the task with a new momentum.
Command: python tools/train.py CONFIG
Expected: 69.95 % top-1 from 69.06; KD 70.66 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet56_resnet20.py',
    '../../../_base_/links/fsp-stages.py',
]
task = dict(type='constant', begin=30, by_epoch=True)
model = dict(distiller=_base_.distiller, calculate_student_loss=task)
train_cfg = dict(max_epochs=270)
param_scheduler = dict(milestones=[180, 210, 240])
