"""DIST on the logits without labels: ESPNetv2 of width 2.0 teaches 0.5 on CamVid.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 1 and weights 1 as published for segmentation.
Command: CAMVID_ROOT=... ESPNETV2_ROOT=... mmkd train CONFIG
Expected: not run yet.
Status: smoke
"""

_base_ = [
    './_base_/pairs-camvid.py',
    './_base_/camvid-480x640_merged.py',
    '../../../configs/_base_/links/dist-logits.py',
]
model = dict(_base_.unlabelled, distiller=_base_.distiller)
