"""DKD with ReviewKD: Faster R-CNN-X101 -> Faster R-CNN-R18, COCO 1x multi-scale.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679,
which adds Knowledge Review, CVPR 2021; each as in its own config.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this teacher is known to us; with an R101 teacher and
Detectron2's training R18 rises from 33.26 to 37.01 AP (the paper's table, quoted from
memory, unverified).
Status: unrun
"""

_base_ = ['../reviewkd/reviewkd-fpn_faster-rcnn-x101_faster-rcnn-r18_8xb2-1x_coco-ms.py']
# what the student's RoI head tells its loss: scores and labels of its proposals
loss_cls = dict(type='ModuleInputs', source='roi_head.bbox_head.loss_cls')
pooling = dict(type='ModuleInputs', source='roi_head.bbox_roi_extractor')
model = dict(
    distiller=dict(
        links=dict(
            loss_dkd=dict(
                loss=dict(type='mmkd_ext.DKDLoss', alpha=1.0, beta=0.25, tau=1.0),
                preds_S=dict(of='student', at=loss_cls, item=0),
                labels=dict(of='student', at=loss_cls, item=1),
                preds_T=dict(
                    of='teacher',
                    at='neck',
                    connector=dict(type='mmkd_ext.RoIClassify'),
                    given=dict(
                        roi_head=dict(
                            of='teacher', at=dict(type='Module', source='roi_head')
                        ),
                        rois=dict(of='student', at=pooling, item=1),
                    ),
                ),
            )
        ),
    )
)
