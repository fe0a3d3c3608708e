"""Names and shapes of the authors' ESPNetv2 files, written out block by block."""

from __future__ import annotations

from math import gcd

import torch

CHANNELS = {
    0.5: (16, 32, 64, 128), 1.0: (32, 64, 128, 256), 1.5: (32, 96, 192, 384),
    2.0: (32, 128, 256, 512)}


def norm(name, c):
    for part in ('weight', 'bias', 'running_mean', 'running_var'):
        yield f'{name}.{part}', (c,)
    yield f'{name}.num_batches_tracked', ()


def unit(name, cin, cout):
    n = cout // 4
    yield f'{name}.proj_1x1.conv.weight', (n, cin // 4, 1, 1)
    yield from norm(f'{name}.proj_1x1.bn', n)
    yield f'{name}.proj_1x1.act.weight', (n,)
    for i in range(4):
        yield f'{name}.spp_dw.{i}.conv.weight', (n, 1, 3, 3)
    yield f'{name}.conv_1x1_exp.conv.weight', (cout, n, 1, 1)
    yield from norm(f'{name}.conv_1x1_exp.bn', cout)
    yield from norm(f'{name}.br_after_cat.bn', cout)
    yield f'{name}.br_after_cat.act.weight', (cout,)
    yield f'{name}.module_act.weight', (cout,)


def strided(name, cin, cout):
    yield from unit(f'{name}.eesp', cin, cout - cin)
    yield f'{name}.inp_reinf.0.conv.weight', (3, 3, 3, 3)
    yield from norm(f'{name}.inp_reinf.0.bn', 3)
    yield f'{name}.inp_reinf.0.act.weight', (3,)
    yield f'{name}.inp_reinf.1.conv.weight', (cout, 3, 1, 1)
    yield from norm(f'{name}.inp_reinf.1.bn', cout)
    yield f'{name}.act.weight', (cout,)


def cbr(name, cin, cout, k, groups=1):
    yield f'{name}.cbr.0.weight', (cout, cin // groups, k, k)
    yield from norm(f'{name}.cbr.1', cout)
    yield f'{name}.cbr.2.weight', (cout,)


def pyramid(name, cin, cout, last):
    for j in range(5):
        yield f'{name}.stages.{j}.weight', (10, 1, 3, 3)
    yield from cbr(f'{name}.projection_layer', cin, 10, 1)
    yield from norm(f'{name}.merge_layer.0.br.0', 50)
    yield f'{name}.merge_layer.0.br.1.weight', (50,)
    yield from cbr(f'{name}.merge_layer.2', 50, 10, 3, groups=10)
    yield f'{name}.merge_layer.3.weight', (cout, 10, 1, 1)
    if last:
        yield f'{name}.merge_layer.3.bias', (cout,)
    else:
        yield from norm(f'{name}.br.br.0', cout)
        yield f'{name}.br.br.1.weight', (cout,)


def names_and_shapes(width):
    c1, c2, c3, c4 = CHANNELS[width]
    yield 'base_net.level1.conv.weight', (c1, 3, 3, 3)
    yield from norm('base_net.level1.bn', c1)
    yield 'base_net.level1.act.weight', (c1,)
    yield from strided('base_net.level2_0', c1, c2)
    yield from strided('base_net.level3_0', c2, c3)
    for i in range(3):
        yield from unit(f'base_net.level3.{i}', c3, c3)
    yield from strided('base_net.level4_0', c3, c4)
    for i in range(7):
        yield from unit(f'base_net.level4.{i}', c4, c4)
    for number, cin, cout in ((1, c4, 64), (2, 64, 48), (3, 48, 32), (4, 32, 20)):
        yield from pyramid(f'bu_dec_l{number}', cin, cout, last=number == 4)
    for number, cin, cout in ((2, c3, 64), (3, c2, 48), (4, c1, 32)):
        name = f'merge_enc_dec_l{number}'
        yield f'{name}.wt_layer.1.weight', (cout, cin, 1, 1)
        yield from cbr(f'{name}.expansion_layer', cin, cout, 3, gcd(cin, cout))
    for number, c in ((2, 64), (3, 48), (4, 32)):
        yield from norm(f'bu_br_l{number}.0', c)
        yield f'bu_br_l{number}.1.weight', (c,)


def state_dict(width):
    """Random weights under the authors' names."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in names_and_shapes(width):
        if name.endswith('num_batches_tracked'):
            state[name] = torch.tensor(7)
        else:
            state[name] = 0.5 + torch.rand(shape, generator=generator)
    return state
