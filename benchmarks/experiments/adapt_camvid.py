"""Which methods adapt a segmentor to a real drive at dusk, and to drawn weather?

CAMVID_ROOT=<folder> python benchmarks/adapt_grid.py benchmarks/experiments/<this file>

The source is the teacher of camvid_fpn.py, trained by day. Three rounds of every third
picture. The learning rates are those of adapt_camvid_rates.py. The committed results
are those of an earlier guard, which watched a window of 32 images.
"""

name = 'adapt_camvid'
title = 'CamVid: day, dusk, and drawn weather, 3 rounds'
source = 'benchmarks/configs/camvid/teacher_fpn-r18-w32.py'
_base_ = './adapt_streets.py'
orders = dict(_delete_=True, forward=None)
methods = {
    key: dict(
        config=method['config'].replace(
            'deeplabv3plus-r18-w16_streets', 'fpn-r18-w32_camvid'
        )
    )
    for key, method in _base_.methods.items()
}
methods['cotta']['once'] = True
for key in ('tent', 'dose'):
    title_ = f'{_base_.methods[key]["title"]}, guarded'
    methods[f'{key}_guarded'] = dict(methods[key], title=title_, once=True)
    methods[f'{key}_guarded']['options'] = {
        'model.guard.type': 'mmkd_ext.CollapseGuard'
    }
# its rate was the best of five on other pictures; is it too fast for these?
methods['dose_slow'] = dict(methods['dose'], title='DoSe, rate 0.001', once=True)
methods['dose_slow']['options'] = {'test_cfg.optim_wrapper.optimizer.lr': 1e-3}
options = {'_delete_': True, 'test_cfg.rounds': 3}
for number, pictures in enumerate((101, 62, 101, 101, 101, 101)):
    third = ','.join(str(n) for n in range(0, pictures, 3))
    options[f'test_cfg.domains.{number}.dataset.indices'] = f'[{third}]'
del key, title_, number, pictures, third
