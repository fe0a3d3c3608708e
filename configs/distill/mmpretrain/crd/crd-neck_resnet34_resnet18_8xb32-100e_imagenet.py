"""CRD on the pooled features: ResNet-34 -> ResNet-18, ImageNet.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699; 16384 negatives, weight 0.8, without KD, as
mdistiller. The memories take 1.2 GiB, in checkpoints too.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 71.17 % top-1 from 69.75; KD 71.03 (in the table of Logit Standardization in
Knowledge Distillation, CVPR 2024).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/crd-neck.py',
]
_base_.distiller.links.loss_crd.loss.update(
    samples=1281167, student_channels=512, teacher_channels=512
)
model = dict(distiller=_base_.distiller)
custom_hooks = [*_base_.custom_hooks, dict(type='mmkd_ext.CRDClassesHook')]
