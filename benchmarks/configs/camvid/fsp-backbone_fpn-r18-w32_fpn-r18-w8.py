"""FSP of the four stages for 500 iterations, then the task: FPN on ResNet-18 on CamVid.

Paper: A Gift from Knowledge Distillation, CVPR 2017,
https://openaccess.thecvf.com/content_cvpr_2017/html/Yim_A_Gift_From_CVPR_2017_paper.html;
weight 50 of RepDistiller; the task has as many iterations as all here.
Command: python tools/train.py CONFIG
Expected: no figure yet.
Status: smoke
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
first, whole = 500, 2500
fsp = dict(
    loss=dict(type='mmkd_ext.FSPLoss', loss_weight=50.0),
    preds_S=dict(of='student', at='backbone'),
    preds_T=dict(of='teacher', at='backbone'),
    schedule=dict(type='constant', end=first),
)
distiller = dict(type='mmkd_ext.LinkDistiller', links=dict(loss_fsp=fsp))
task = dict(type='constant', begin=first)
model = dict(distiller=distiller, calculate_student_loss=task)
train_cfg = dict(max_iters=whole, val_interval=whole)
default_hooks = dict(checkpoint=dict(interval=whole))
warm_up, decay = _base_.param_scheduler
param_scheduler = [warm_up, dict(decay, begin=first, end=whole)]
