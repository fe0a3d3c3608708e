_base_ = [
    'mmkd_ext::_base_/streams/cityscapes-to-acdc.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    type='mmkd_ext.ContinualAdaptation',
    architecture='mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py',
    distiller=dict(type='mmkd_ext.DoSeDistiller'),
    guard=dict(type='mmkd_ext.CollapseGuard'),
)
test_cfg = dict(rounds=10, optim_wrapper=dict(optimizer=dict(type='Adam', lr=7.5e-6)))
