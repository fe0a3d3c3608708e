"""SimKD with the teacher's pixel classifier: FPN on ResNet-18 on CamVid.

Paper: Knowledge Distillation with the Reused Teacher Classifier, CVPR 2022,
https://arxiv.org/abs/2203.14001; weight 1, factor 2 and no other loss as its classifiers;
it has no segmentation. Backbone, projector and the teacher's classifier are the student.
Command: python tools/train.py benchmarks/configs/camvid/simkd_fpn-r18-w32_fpn-r18-w8.py
Expected: nothing is published.
Status: unrun
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/simkd.py']
own = dict(_base_.model.architecture.decode_head, dropout_ratio=0.0)
model = dict(
    architecture=dict(
        decode_head=dict(
            _delete_=True, type='mmkd_ext.SimKDHead', channels=32, factor=2, head=own
        )
    ),
    inherit={f'{_base_.last}.classifier': _base_.last},
    calculate_student_loss=False,
    distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links),
)
del own
