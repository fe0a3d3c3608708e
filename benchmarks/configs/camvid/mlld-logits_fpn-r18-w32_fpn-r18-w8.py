"""MLLD of every pixel: FPN on ResNet-18 on CamVid.

Paper: Multi-Level Logit Distillation, CVPR 2023,
https://github.com/Jin-Ying/Multi-Level-Logit-Distillation; temperatures and weights of its
classifiers, two pictures in two views; it has no segmentation. Colours are jittered in the
strong view alone.
Command: python tools/train.py
benchmarks/configs/camvid/mlld-logits_fpn-r18-w32_fpn-r18-w8.py
Expected: nothing is published.
Status: unrun
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/mlld.py']
*geometry, jitter, pack = _base_.train_pipeline
views = dict(type='mmkd_ext.Views', views=[[pack], [jitter, pack]])
train_dataloader = dict(
    batch_size=2,
    collate_fn=dict(type='mmkd_ext.views_collate'),
    dataset=dict(pipeline=[*geometry, views]),
)
model = dict(
    architecture=dict(decode_head=dict(loss_decode=dict(loss_weight=0.2))),
    distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links),
)
del geometry, jitter, pack
