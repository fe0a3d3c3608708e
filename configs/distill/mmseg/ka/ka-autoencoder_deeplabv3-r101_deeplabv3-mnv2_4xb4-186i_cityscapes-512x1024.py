"""KA, stage one: an auto-encoder of the features of DeepLabV3-R101, Cityscapes.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; one epoch, lr 0.1, weight decay 1e-4 and alpha 1e-7
(printed as "10e-4" and "10e-7"). Three strided convolutions; their widths are ours.
Nothing of the student is trained or evaluated; the next stage reads the checkpoint.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no reconstruction error is published.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_186i-ka.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-mnv2.py',
    '../../../_base_/links/ka-autoencoder.py',
]
_base_.distiller.links.loss_ka.loss.teacher = _base_.model.teacher_ckpt
model = dict(
    student_trainable=False,
    calculate_student_loss=False,
    distiller=_base_.distiller,
)
