"""Links: KD on the class scores of a RoI head."""

# what the student's RoI head tells its loss: scores of its proposals
loss_cls = dict(type='ModuleInputs', source='roi_head.bbox_head.loss_cls')
pooling = dict(type='ModuleInputs', source='roi_head.bbox_roi_extractor')
distiller = dict(
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
