"""Parts of a student that start as those of its teacher."""

from __future__ import annotations

import pytest
import torch
from distill_toys import TOY, build, link

from mmkd_ext.algorithms.init_from_teacher import init_from_teacher, plan_init
from mmkd_ext.errors import ConfigError
from mmkd_ext.testing.toy import ToyModel


def algorithm(**more):
    same = [dict(type=TOY, channels=8) for _ in range(2)]
    return build(link(loss='KDLoss'), *same, **more)


def start(model):
    model.init_weights()
    return model.student.state_dict(), model.teacher.state_dict()


def test_the_parts_that_are_named_start_as_the_teachers():
    student, teacher = start(algorithm(inherit=['neck', 'head']))
    for key, value in student.items():
        same = torch.equal(value, teacher[key])
        if key.startswith(('neck.', 'head.')):
            assert same, key
        elif key.endswith('conv.weight'):
            assert not same, key


def test_without_it_nothing_is_copied():
    student, teacher = start(algorithm())
    key = 'neck.convs.0.weight'
    assert not torch.equal(student[key], teacher[key])


def test_copies_and_does_not_share():
    model = algorithm(inherit=['neck'])
    student, teacher = start(model)
    student['neck.convs.0.weight'].zero_()
    assert teacher['neck.convs.0.weight'].any()


def test_comes_after_the_checkpoints_of_both(tmp_path):
    files = {}
    for name in ('student', 'teacher'):
        model = ToyModel(channels=8)
        files[name] = str(tmp_path / f'{name}.pth')
        torch.save({'state_dict': model.state_dict()}, files[name])
    model = algorithm(
        inherit=['neck'], student_ckpt=files['student'], teacher_ckpt=files['teacher']
    )
    student, _ = start(model)
    wanted = {
        name: torch.load(file, weights_only=True)['state_dict']
        for name, file in files.items()
    }
    key, other = 'neck.convs.0.weight', 'head.conv.weight'
    assert torch.equal(student[key], wanted['teacher'][key])
    assert torch.equal(student[other], wanted['student'][other])


def test_what_differs_in_shape_stays_and_is_reported_with_the_reason():
    student, teacher = ToyModel(channels=8, classes=4), ToyModel(channels=8, classes=6)
    before = student.head.conv_seg.weight.clone()
    report = plan_init(student, teacher, ['head'])
    init_from_teacher(student, teacher, report)
    assert torch.equal(student.head.conv.weight, teacher.head.conv.weight)
    assert torch.equal(student.head.conv_seg.weight, before)
    reasons = dict(report.kept)
    assert reasons['head.conv_seg.bias'] == '(4,) here, (6,) in the teacher'
    text = report.describe()
    assert f'{len(report.copied)} of {len(report.copied) + 2} tensors' in text
    assert 'kept `head.conv_seg.weight`' in text


def test_what_the_teacher_has_not_stays():
    report = plan_init(ToyModel(levels=4), ToyModel(levels=3), ['neck'])
    assert dict(report.kept)['neck.convs.3.weight'] == 'the teacher has none'


def test_a_part_inside_another_counts_once():
    student, teacher = ToyModel(), ToyModel()
    assert plan_init(student, teacher, ['neck', 'neck.convs']) == (
        plan_init(student, teacher, ['neck'])
    )


@pytest.mark.parametrize(
    ('modules', 'paths', 'word'),
    [
        (['nekc', 'head'], ['model.inherit[0]'] * 2, '`neck`'),
        (['head.dropout'], ['model.inherit[0]'], 'no weights'),
        ('neck', ['model.inherit'], 'list'),
        ([], ['model.inherit'], 'list'),
        ({}, ['model.inherit'], 'list'),
    ],
)
def test_mistakes_are_named(modules, paths, word):
    with pytest.raises(ConfigError) as error:
        plan_init(ToyModel(), ToyModel(), modules)
    assert [problem.path for problem in error.value.problems] == paths
    assert word in str(error.value)


def test_a_part_of_which_nothing_agrees_is_an_error():
    student, teacher = ToyModel(channels=8), ToyModel(channels=12)
    with pytest.raises(ConfigError, match=r'nothing of `neck` agrees .*\(8, 8, 1, 1\)'):
        plan_init(student, teacher, ['neck'])


def test_a_part_may_have_another_name_in_the_teacher():
    student, teacher = ToyModel(), ToyModel()
    pairs = {'neck.convs.0': 'neck.convs.2'}
    report = plan_init(student, teacher, pairs)
    init_from_teacher(student, teacher, report)
    assert report.copied == ('neck.convs.0.weight', 'neck.convs.0.bias')
    for key in ('weight', 'bias'):
        ours, theirs = (getattr(model.neck.convs[level], key) for model, level in
                        ((student, 0), (teacher, 2)))
        assert torch.equal(ours, theirs)
    with pytest.raises(ConfigError, match=r"`model.inherit.neck`: the teacher has no "
                                          r"module 'nekc'.* Did you mean `neck`"):
        plan_init(student, teacher, {'neck': 'nekc'})
