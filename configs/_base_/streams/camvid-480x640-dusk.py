"""Stream: the dusk drive of CamVid alone, once, pictures at 640 x 480."""

_base_ = ['./camvid-day-dusk-weather.py']
domains = [_base_.test_cfg.domains[1]]
domains[0]['dataset']['pipeline'][:2] = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(
        type='Resize',
        scale=(640, 480),
        keep_ratio=True,
        interpolation='bicubic',
        backend='pillow',
    ),
]
test_cfg = dict(rounds=1, domains=domains)
del domains
