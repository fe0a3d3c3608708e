"""Links: KD of pixels from the mean of two teachers, and who they are."""

logits, camvid = 'decode_head.conv_seg', 'benchmarks/configs/camvid'
# made by: CAMVID_ROOT=<folder> python benchmarks/repeat.py \
#   benchmarks/experiments/camvid_fpn.py, and camvid_segformer.py
teachers = dict(
    fpn=dict(
        model=dict(cfg_path=f'{camvid}/teacher_fpn-r18-w32.py'),
        ckpt='work_dirs/repeat/camvid_fpn/teacher/iter_3000.pth',
    ),
    segformer=dict(
        model=dict(cfg_path=f'{camvid}/teacher_segformer-w32.py'),
        ckpt='work_dirs/repeat/camvid_segformer/teacher/iter_1500.pth',
    ),
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=1.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(
                of='fpn',
                at=logits,
                connector=dict(
                    type='mmkd_ext.TeacherMean', shares='confidence', tau=1.0
                ),
                given=dict(
                    segformer=dict(of='segformer', at=logits),
                    data_samples=dict(of='batch', at='data_samples'),
                ),
            ),
        )
    ),
)
del logits, camvid
