"""Links: DIST on the class scores of a RoI head; of a cascade, its first stage."""

# what the student's RoI head tells its loss: scores of its proposals
loss_cls = dict(type='ModuleInputs', source='roi_head.bbox_head.loss_cls')
pooling = dict(type='ModuleInputs', source='roi_head.bbox_roi_extractor')
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_dist=dict(
            loss=dict(type='mmkd_ext.DISTLoss', tau=1.0),
            preds_S=dict(of='student', at=loss_cls, item=0),
            preds_T=dict(
                of='teacher',
                at='neck',
                connector=dict(type='mmkd_ext.RoIClassify', stage=0),
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
