"""DoSe on CamVid: day, dusk, fog, night, rain and snow, ten times; semantic FPN.

Paper: N. Reddy, M. Baktashmotlagh, C. Arora, WACV 2024, p. 696-707; what is ours is
listed in the README.
Command: CAMVID_ROOT=<folder> python tools/test.py CONFIG
work_dirs/fpn-r18-w32_camvid/iter_1500.pth
Expected: 28.4 +- 0.6 mIoU over 3 rounds of every third picture (seeds 0 to 2, 2 CPU
cores); the source 25.0.
Status: measured
"""

_base_ = ['../../../_base_/adapt/camvid_fpn-r18-w32.py']
# as measured; mixing was chosen with the rate on toy streets
model = dict(
    distiller=dict(
        type='mmkd_ext.DoSeDistiller',
        decay=0.0,
        mixing=0.5,
        views=[1.0, 'flip', dict(brightness=0.2, contrast=0.2)],
    )
)
test_cfg = dict(optim_wrapper=dict(optimizer=dict(lr=3e-3)))
