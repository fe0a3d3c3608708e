"""DIGA: DeepLabV3+ R18, toy streets, 10 rounds.

Paper: Dynamically Instance-Guided Adaptation, CVPR 2023,
https://github.com/Waybaba/DIGA
Command: python tools/test.py CONFIG work_dirs/deeplabv3plus-r18-w16_streets/iter_1600.pth
Expected: 16.4 mIoU over 10 rounds (seed 0, 2 CPU cores); the source 11.9.
Status: measured
"""

_base_ = ['../../../_base_/adapt/streets_deeplabv3plus-r18-w16.py']
# measured before prototypes were compared as in the authors' code
model = dict(distiller=dict(type='mmkd_ext.DIGADistiller', similarity='cosine'))
