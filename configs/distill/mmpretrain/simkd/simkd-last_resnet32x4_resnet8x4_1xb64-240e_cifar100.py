"""SimKD with the teacher's classifier: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Knowledge Distillation with the Reused Teacher Classifier, CVPR 2022,
https://arxiv.org/abs/2203.14001; weight 1, factor 2 and no other loss, as the authors.
What is deployed is backbone, projector and classifier.
Command: python tools/train.py CONFIG
Expected: 78.08 % top-1 from 73.09; KD 74.42 (the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/simkd-last.py',
]
own = dict(type='LinearClsHead', num_classes=100, in_channels=256)
head = dict(_delete_=True, type='mmkd_ext.SimKDHead', channels=256, factor=2, head=own)
model = dict(
    architecture=dict(neck=None, head=head),
    inherit={'head.fc.classifier': 'head.fc'},
    calculate_student_loss=False,
    distiller=_base_.distiller,
)
del own, head
