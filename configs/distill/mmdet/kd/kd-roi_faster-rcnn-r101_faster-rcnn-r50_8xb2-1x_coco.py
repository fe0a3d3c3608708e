"""KD on the RoI head's class scores: Faster R-CNN-R101 -> Faster R-CNN-R50, COCO 1x.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; where and with which weight is ours, as the DKD config
has it: all proposals of the student, background included, tau 1, weight 1.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure is known to us; the student alone has 37.4 AP.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-r101_faster-rcnn-r50.py',
]
# what the student's RoI head tells its loss: scores of its proposals
loss_cls = dict(type='ModuleInputs', source='roi_head.bbox_head.loss_cls')
pooling = dict(type='ModuleInputs', source='roi_head.bbox_roi_extractor')
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_kd=dict(
                loss=dict(type='mmkd_ext.KDLoss', tau=1.0),
                preds_S=dict(of='student', at=loss_cls, item=0),
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
