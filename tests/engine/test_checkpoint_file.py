"""Reading checkpoints, taking parts of them, and loading with a report."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict

import pytest
import torch
from torch import nn

from mmkd_ext.checkpoint import (
    extract_part,
    extract_student,
    load_weights,
    read_checkpoint,
    student_checkpoint,
    weights_of,
)
from mmkd_ext.errors import CheckpointError, ConfigError


class Net(nn.Module):
    """18 + 4 parameters in the body, 10 in the head."""

    def __init__(self, width=2, classes=2):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(8, width), nn.BatchNorm1d(width))
        self.head = nn.Linear(width, classes)


def save(path, state, **more):
    torch.save(dict(state_dict=state, meta={}, **more), path)
    return str(path)


def prefixed(prefix, state):
    return OrderedDict((prefix + k, v) for k, v in state.items())


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def source():
    torch.manual_seed(1)
    return Net()


def equal(a, b):
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


# ---- reading -----------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return os.system, ('touch pwned',)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({'state_dict': {}, 'x': Evil()}, 'evil.pth')
    with pytest.raises(CheckpointError, match=r'posix\.system'):
        read_checkpoint('evil.pth')
    assert not (tmp_path / 'pwned').exists()


def test_an_old_style_pickle_with_code_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'evil.pth').write_bytes(pickle.dumps({'x': Evil()}, protocol=2))
    with pytest.raises(CheckpointError):
        read_checkpoint('evil.pth')
    assert not (tmp_path / 'pwned').exists()


def test_an_object_of_a_class_is_named(tmp_path):
    torch.save({'x': Net()}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match=r'would run code \(`\S*Net`\)'):
        read_checkpoint(tmp_path / 'x.pth')


@pytest.mark.parametrize('keep', [0, 10, 1000, -1])
def test_a_damaged_file_is_refused_with_its_size(keep, tmp_path, source):
    path = tmp_path / 'x.pth'
    save(path, source.state_dict())
    content = path.read_bytes()[:keep]
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf'\({len(content)} bytes\)'):
        read_checkpoint(path)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / 'x.pth'
    path.write_text('<html>404</html>')
    with pytest.raises(CheckpointError) as raised:
        read_checkpoint(path)
    assert 'weights_only' not in str(raised.value)  # advice to run its code
    torch.save(torch.ones(2), path)
    with pytest.raises(CheckpointError, match='`Tensor`'):
        read_checkpoint(path)
    torch.save(dict(meta={}), path)
    with pytest.raises(CheckpointError, match='meta'):
        weights_of(read_checkpoint(path))


def test_a_missing_file_is_named_with_what_lies_beside(tmp_path):
    (tmp_path / 'iter_10.pth').touch()
    for name, words in (
        ('iter_1.pth', r'iter_10\.pth'),
        ('', 'is a directory'),
        ('a/x.pth', 'folder'),
    ):
        with pytest.raises(CheckpointError, match=words):
            read_checkpoint(tmp_path / name)


# ---- parts -------------------------------------------------------------------------


def test_the_student_of_a_distillation_has_plain_names(source):
    state = prefixed('architecture.', source.state_dict())
    state.update(prefixed('teacher.', Net(4).state_dict()))
    state.update({'distiller.x': torch.ones(1)})
    taken = extract_student(state)
    assert list(taken) == list(source.state_dict())


def test_a_plain_model_is_its_own_student(source):
    assert list(extract_student(source.state_dict())) == list(source.state_dict())


def test_the_versions_of_modules_stay_with_their_names(source):
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.architecture = source

    taken = extract_student(Whole().state_dict())
    assert taken._metadata == source.state_dict()._metadata


def test_a_part_that_is_not_there_is_named(source):
    state = prefixed('architecture.', source.state_dict())
    with pytest.raises(CheckpointError, match='no teacher'):
        extract_part(state, 'teacher')


def test_wrappers_around_all_keys_are_taken_off(source):
    state = prefixed('module.module.', source.state_dict())
    assert list(weights_of(dict(state_dict=state))) == list(source.state_dict())


def test_averaged_and_trained_weights_can_both_be_had():
    averaged, trained = torch.full((1,), 1.0), torch.full((1,), 2.0)
    content = dict(
        state_dict={'w': averaged},
        ema_state_dict={'module.w': trained, 'steps': torch.tensor(3)},
    )
    assert weights_of(content)['w'] is weights_of(content, ema=True)['w'] is averaged
    assert dict(weights_of(content, ema=False)) == {'w': trained}
    del content['ema_state_dict']
    assert weights_of(content, ema=False)
    with pytest.raises(CheckpointError, match='EMAHook'):
        weights_of(content, ema=True)


def test_a_student_file_stores_no_more_than_the_student(tmp_path):
    # a view of a large storage would be saved with all of it
    large = torch.zeros(100_000)
    content = dict(state_dict={'architecture.w': large[:3]}, meta=dict(cfg='x', iter=7))
    student = student_checkpoint(content)
    torch.save(student, tmp_path / 'x.pth')
    assert (tmp_path / 'x.pth').stat().st_size < 10_000
    assert 'cfg' not in student['meta']
    assert student['meta']['iter'] == 7


# ---- loading -----------------------------------------------------------------------


@pytest.mark.parametrize('prefix', ['', 'architecture.', 'student.', 'module.'])
def test_fills_a_model_from_any_kind_of_file(prefix, net, source, tmp_path):
    path = save(tmp_path / 'x.pth', prefixed(prefix, source.state_dict()))
    report = load_weights(net, path, role='student')
    assert equal(net, source)
    assert report.share == 1
    assert report.complete
    assert report.prefix == ('' if prefix == 'module.' else prefix)


def test_a_bare_state_dict_is_read_as_well(net, source, tmp_path):
    torch.save(source.state_dict(), tmp_path / 'x.pth')
    assert load_weights(net, tmp_path / 'x.pth', role='teacher').complete


def test_the_teacher_of_an_old_checkpoint_comes_on_request_only(net, source, tmp_path):
    state = prefixed('architecture.', Net(4).state_dict())
    state.update(prefixed('teacher.', source.state_dict()))
    path = save(tmp_path / 'x.pth', state)
    with pytest.raises(CheckpointError, match='--part teacher'):
        load_weights(net, path, role='teacher')
    load_weights(net, path, role='teacher', part='teacher')
    assert equal(net, source)


def test_reports_what_matched_counted_in_numbers(net, source, tmp_path):
    state = source.state_dict()
    del state['head.weight']  # 4 of 2 * 8 + 2 + 2 + 2 + 4 + 2 = 28 parameters
    state['extra'] = torch.ones(1)
    report = load_weights(net, save(tmp_path / 'x.pth', state), role='student')
    assert report.share == pytest.approx(24 / 28)
    assert report.missing == ('head.weight',)
    assert report.unexpected == ('extra',)
    assert 'student: 85.7 % of the parameters' in str(report)
    assert 'not in the file: head.weight' in str(report)


def test_other_shapes_are_reported_and_left(net, source, tmp_path):
    other = Net(classes=5)
    before = net.head.weight.clone()
    report = load_weights(net, save(tmp_path / 'x.pth', other.state_dict()), role='s')
    assert report.mismatched == {
        'head.weight': ((2, 2), (5, 2)),
        'head.bias': ((2,), (5,)),
    }
    assert 'head.weight (2, 2) in the model, (5, 2) in the file' in str(report)
    assert torch.equal(net.head.weight, before)
    assert torch.equal(net.backbone[0].weight, other.backbone[0].weight)


def test_too_little_is_an_error_and_leaves_the_model_as_it_was(net, tmp_path):
    before = {k: v.clone() for k, v in net.state_dict().items()}
    state = {'head.weight': torch.ones(2, 2), 'neck.x': torch.ones(1)}
    with pytest.raises(CheckpointError, match=r'14\.2 %'):
        load_weights(net, save(tmp_path / 'x.pth', state), role='teacher')
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    ('state', 'words'),
    [
        ({'x': torch.ones(1)}, 'backbone, head; the file has x'),
        (Net().backbone.state_dict(), '`backbone` alone'),
        (Net(16).state_dict(), 'another width'),
    ],
)
def test_what_the_file_is_instead_is_named(net, tmp_path, state, words):
    path = save(tmp_path / 'x.pth', state)
    least = 0 if len(state) == 1 else 0.5
    with pytest.raises(CheckpointError, match=words):
        load_weights(net, path, role='teacher', min_matched=least)
    with pytest.raises(ConfigError, match='min_matched'):
        load_weights(net, path, role='student', min_matched=50)


def test_modules_may_rename_old_keys_while_they_load(tmp_path):
    class Renamed(Net):
        def _load_from_state_dict(self, state, prefix, *args):
            for key in [k for k in state if k.startswith(f'{prefix}cls.')]:
                state[key.replace('cls.', 'head.')] = state.pop(key)
            super()._load_from_state_dict(state, prefix, *args)

    source = Net()
    state = OrderedDict(
        (k.replace('head.', 'cls.'), v) for k, v in source.state_dict().items()
    )
    net = Renamed()
    report = load_weights(net, save(tmp_path / 'x.pth', state), role='student')
    assert report.share == 1
    assert equal(net, source)


def test_an_address_that_cannot_be_reached_is_named(net, monkeypatch):
    from mmengine.runner import checkpoint as upstream

    def unreachable(*args, **kwargs):
        raise ConnectionError('no route')

    monkeypatch.setattr(upstream.CheckpointLoader, 'load_checkpoint', unreachable)
    with pytest.raises(CheckpointError, match='no route'):
        load_weights(net, 'https://example.com/x.pth', role='teacher')
