"""FSP for 5 epochs, then the task for 40: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: A Gift from Knowledge Distillation, CVPR 2017,
https://openaccess.thecvf.com/content_cvpr_2017/html/Yim_A_Gift_From_CVPR_2017_paper.html;
weight 50, as RepDistiller, whose first stage has an eighth of the epochs too.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/fsp-stages.py',
]
_base_.distiller.links.loss_fsp.schedule.end = 5
task = dict(type='constant', begin=5, by_epoch=True)
model = dict(distiller=_base_.distiller, calculate_student_loss=task)
warm_up, decay = _base_.param_scheduler
param_scheduler = [warm_up, dict(decay, begin=6, end=45)]
train_cfg = dict(max_epochs=45, val_interval=45)
del task, warm_up, decay
