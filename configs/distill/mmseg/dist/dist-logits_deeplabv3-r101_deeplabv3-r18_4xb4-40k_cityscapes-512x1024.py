"""DIST on the logits: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 1, weight 1 and schedule of the authors' code. It
has the auxiliary head too, which `dist-logits+aux` adds.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure for the main logits alone is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-dist.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/dist-logits.py',
]
model = dict(distiller=_base_.distiller)
