_base_ = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
model = dict(
    _delete_=True,
    type='mmkd_ext.TeacherDistill',
    architecture={{_base_.model}},
    teacher='mmseg::pspnet/pspnet_r101-d8_4xb2-80k_cityscapes-512x1024.py',
    teacher_ckpt='checkpoints/pspnet_r101.pth',
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0),
                preds_S=dict(of='student', at='decode_head.conv_seg'),
                preds_T=dict(of='teacher', at='decode_head.conv_seg'),
            ),
        ),
    ),
)
default_hooks = dict(checkpoint=dict(type='mmkd_ext.DistillCheckpointHook'))
