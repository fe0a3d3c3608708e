"""Stream: the day clip, the dusk drive and drawn weather of CamVid, pictures at 512 x 256.

For a network of Cityscapes, whose pictures are twice as wide as high: those of CamVid are
squeezed. ESPNetv2 loses 1 to 4 mIoU by day to pictures of 640 x 480, which cost 2.3 times
as much.
"""

_base_ = ['./camvid-day-dusk-weather.py']
domains = _base_.test_cfg.domains
for domain in domains:
    domain['dataset']['pipeline'][1] = dict(
        type='Resize', scale=(512, 256), keep_ratio=False
    )
test_cfg = dict(rounds=3, domains=domains)
del domain, domains
