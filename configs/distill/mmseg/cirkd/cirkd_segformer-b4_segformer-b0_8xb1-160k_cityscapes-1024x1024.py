"""CIRKD: SegFormer-B4 -> SegFormer-B0, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; weights, memories and schedule of the authors'
script for SegFormer, their mistake in what the pixel memory keeps left out. With one
image on a GPU, relations in the batch are those of an image to itself, as there.
Command: bash tools/dist_train.sh CONFIG 8
Expected: the authors report 75.58 -> 76.92 mIoU from a teacher of 81.23. Not measured
by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-1024x1024_160k-cirkd.py',
    '../../../_base_/pairs/mmseg/segformer-b4_segformer-b0.py',
]
logits, feature = 'decode_head.conv_seg', 'decode_head.fusion_conv'
student, teacher = dict(of='student', at=feature), dict(of='teacher', at=feature)
sides = dict(preds_S=dict(student, connector='projection'), preds_T=teacher)
truth = dict(of='batch', at='data_samples')
memory = dict(num_classes=19, channels=256, size=2000, tau=0.1, loss_weight=0.1)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        connectors=dict(
            projection=dict(
                type='mmkd_ext.CIRKDProjection', in_channels=256, out_channels=256
            )
        ),
        links=dict(
            loss_kd=dict(
                loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            ),
            loss_batch=dict(
                loss=dict(type='mmkd_ext.CIRKDMiniBatchLoss', tau=0.1, pool=2),
                preds_S=student,
                preds_T=teacher,
            ),
            loss_pixel=dict(
                loss=dict(type='mmkd_ext.CIRKDPixelMemoryLoss', **memory),
                data_samples=truth,
                **sides,
            ),
            loss_region=dict(
                loss=dict(type='mmkd_ext.CIRKDRegionMemoryLoss', **memory),
                data_samples=truth,
                **sides,
            ),
        ),
    ),
)
