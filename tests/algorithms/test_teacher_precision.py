"""A teacher in a precision of its own, and models compiled between their taps."""

from __future__ import annotations

import copy

import pytest
import torch
from distill_toys import TOY, build, link, losses_of, refused
from torch import nn

from mmkd_ext.testing.toy import toy_batch

NECK = link(at='neck', loss='PKDLoss')
AUTOCAST = {'bf16': torch.bfloat16, 'fp16': torch.float16}


def recorded(algorithm, name='teacher'):
    """What the teacher's taps get of a batch, before the losses see it."""
    teacher, recorder = algorithm.teachers[name], algorithm.distiller.recorders[name]
    batch = toy_batch()
    teacher.run(recorder, batch['inputs'], batch['data_samples'])
    value = recorder.value(recorder.taps[0])
    recorder.clear()
    return value if isinstance(value, tuple) else (value,)


def dtypes_inside(algorithm):
    """The types of what a convolution of the teacher returns in a pass."""
    seen = []
    module = next(
        m for m in algorithm.teacher.modules() if isinstance(m, nn.Conv2d)
    )
    handle = module.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    recorded(algorithm)
    handle.remove()
    return set(seen)


# half a unit in the last place, 2^-9 and 2^-12, times less than eight over the layers
@pytest.mark.parametrize(('precision', 'bound'), [('bf16', 2**-6), ('fp16', 2**-9)])
def test_a_teacher_in_half_precision_is_close_and_its_taps_are_float32(
    precision, bound
):
    exact = recorded(build(NECK))
    algorithm = build(NECK, teacher_precision=precision)
    values = recorded(algorithm)
    assert dtypes_inside(algorithm) == {AUTOCAST[precision]}
    for value, wanted in zip(values, exact):
        assert value.dtype == torch.float32
        error = (value - wanted).norm() / wanted.norm()
        assert 0 < error < bound


def test_a_teacher_in_float32_ignores_the_autocast_of_the_student():
    exact = recorded(build(NECK))
    algorithm = build(NECK, teacher_precision='fp32')
    plain = build(NECK)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        values = recorded(algorithm)
        assert dtypes_inside(algorithm) == {torch.float32}
        assert dtypes_inside(plain) == {torch.bfloat16}
    for value, wanted in zip(values, exact):
        assert torch.equal(value, wanted)


def test_each_teacher_may_have_its_own():
    teachers = {
        'one': dict(model=dict(type=TOY), precision='fp32'),
        'two': dict(model=dict(type=TOY)),
    }
    links = {f'loss_{name}': link(of=name) for name in teachers}
    algorithm = build(links, teachers=teachers, teacher_precision='bf16')
    found = [one.precision for one in algorithm.teachers.values()]
    assert found == ['fp32', 'bf16']


@pytest.mark.parametrize(
    'key', ['student_trainable', 'teacher_channels_last', 'teacher_trainable']
)
def test_a_word_is_no_yes_or_no(key):
    (problem,) = refused(**{key: 'yes'})
    assert problem.path == f'model.{key}'


def test_an_unknown_precision_is_refused_where_it_stands():
    (problem,) = refused(teacher_precision='bf61')
    assert problem.path == 'model.teacher_precision'
    assert 'bf16' in str(problem)
    teachers = {'one': dict(model=dict(type=TOY), precision='half')}
    (problem,) = refused(link(of='one'), teachers=teachers)
    assert problem.path == 'model.teachers.one.precision'


def test_channels_last_changes_where_maps_lie_not_what_they_are():
    exact = recorded(build(NECK))
    values = recorded(build(NECK, teacher_channels_last=True))
    for value, wanted in zip(values, exact):
        assert value.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(value, wanted)


def eager(links, **more):
    """A distillation whose modules are traced by a backend that runs what it gets."""
    return build(links, compile=dict(backend='eager'), **more)


def compiled_of(module):
    return {n for n, one in module.named_modules() if one._compiled_call_impl}


def test_what_lies_between_taps_is_compiled_and_gives_equal_losses():
    links = {'loss_x': NECK, 'loss_y': link(at='backbone.stages.1.norm', loss='ATLoss')}
    plain, algorithm = build(links), eager(links)
    wanted, found = losses_of(plain), losses_of(algorithm)
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)
    # the neck is tapped, the second stage holds a tap
    inside = compiled_of(algorithm.architecture)
    assert {'backbone.stages.0', 'backbone.stages.1.conv'} <= inside
    assert inside.isdisjoint({'neck', 'backbone', 'backbone.stages.1'})
    assert algorithm.state_dict().keys() == plain.state_dict().keys()


def test_a_copy_of_a_compiled_student_runs_its_own_weights():
    algorithm = eager(NECK)
    twin = copy.deepcopy(algorithm.architecture).eval()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
        assert not twin(toy_batch()['inputs'], mode='tensor').any()
    assert not compiled_of(twin)


def test_delivered_methods_are_refused_with_compiling():
    delivery = dict(
        type='MethodOutputs',
        max_keep_data=1,
        method_path='mmkd_ext.testing.toy.ToyModel._logits',
    )
    distiller = dict(distill_deliveries=dict(one=delivery))
    (problem,) = refused(distiller=distiller, compile=True)
    assert problem.path == 'model.compile'
    assert 'MethodCalls' in str(problem)
