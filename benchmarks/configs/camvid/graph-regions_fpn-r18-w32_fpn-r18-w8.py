"""A graph of 64 regions: FPN on ResNet-18 on CamVid.

Paper: Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04197, its pair-wise term: nodes are regions of the last
features, edges their cosines. It has 4 regions there; here each has an eighth of a side.
Command: python tools/train.py
    benchmarks/configs/camvid/graph-regions_fpn-r18-w32_fpn-r18-w8.py
Expected: not measured with this number of regions.
Status: unrun
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
graph = dict(
    loss=dict(type='mmkd_ext.SKDSPairwiseLoss', scale=0.125, loss_weight=0.5),
    preds_S=dict(of='student', **feature),
    preds_T=dict(of='teacher', **feature),
)
model = dict(
    distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_graph=graph))
)
del feature, graph
