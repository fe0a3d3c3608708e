"""`mmkd search`: spaces, strategies, budgets, and going on after a stop."""

from __future__ import annotations

import json
import random

import pytest
from mmengine.config import Config, ConfigDict

from mmkd_ext.cli import search
from mmkd_ext.errors import ConfigError

PREPROCESSOR = dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
WIDTHS = [[(4, 4, 4, 8), 8], [(4, 4, 8, 16), 16], [(4, 4, 4, 4), 9]]


def classifier(depth):
    return dict(
        type='ImageClassifier',
        backbone=dict(type='mmkd_ext.SmallResNet', depth=depth, widths=(4, 4, 4, 8)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=10, in_channels=8,
                  loss=dict(type='CrossEntropyLoss')))


def segmentor(width):
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', size=(32, 32)),
        backbone=dict(type='ResNetV1c', depth=18, stem_channels=width,
                      base_channels=width, norm_cfg=dict(type='SyncBN')),
        decode_head=dict(type='FCNHead', in_channels=8 * width, channels=8,
                         num_convs=1, num_classes=4, loss_decode=dict(
                             type='CrossEntropyLoss')),
        pretrained='open-mmlab://resnet18_v1c', test_cfg=dict(mode='whole'))


def written(folder, **changes):
    """A search on digits."""
    space = {'backbone.depth': [8, 14], 'backbone.widths, head.in_channels': WIDTHS}
    values = dict(
        default_scope='mmpretrain', data_preprocessor=PREPROCESSOR,
        model=dict(architecture=classifier(8), teacher=classifier(14)),
        train_dataloader=dict(
            batch_size=4, num_workers=0, persistent_workers=False,
            sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=dict(type='mmkd_ext.DigitsDataset', indices=32,
                         pipeline=[dict(type='PackInputs')])),
        search=dict(space=space, seeds=2, batch_size=16, candidates=4))
    path = folder / 'config.py'
    path.write_text(''.join(f'{k} = {v!r}\n' for k, v in (values | changes).items()))
    return path


def run(folder, *more, **changes):
    path = str(written(folder, **changes))
    return search.main([path, '--work-dir', str(folder), *more])


def scores(folder):
    return json.loads((folder / 'search.json').read_text())['rows']


# ---- spaces and strategies ----------------------------------------------------------


def test_keys_joined_by_commas_change_together_and_lists_are_reached():
    space = search.Space({'a.b, c.1': [[1, 2], [3, 4]], 'd': ['x', 'y', 'z']})
    base = ConfigDict(a=dict(b=0, e=5), c=[7, 8], d='w')
    assert space.size == 6
    assert space.model(base, (1, 2)).to_dict() == dict(
        a=dict(b=3, e=5), c=[7, 4], d='z')
    assert base['a']['b'] == 0


@pytest.mark.parametrize(('space', 'message'), [
    ({}, 'must be a dict'), ([1], 'must be a dict'), ({'a': []}, 'search.space.a'),
    ({'a': 3}, 'search.space.a'), ({'a, b': [[1, 2], [3]]}, 'one value for each'),
    ({'a, b': [4]}, 'one value for each')])
def test_what_is_no_space_is_told_with_its_path(space, message):
    with pytest.raises(ConfigError, match=message):
        search.Space(space)


def test_a_key_that_leads_nowhere_is_told():
    with pytest.raises(ConfigError, match=r"search\.space.*no 'a\.b'"):
        search.Space({'a.b': [1]}).model(ConfigDict(c=3), (0,))


def climb(candidates, population, limit=None):
    """Evaluates on a space of 1000, where the sum of the choice is the score."""
    space = search.Space({name: list(range(10)) for name in 'abc'})
    asked = []

    def evaluate(choice):
        asked.append(choice)
        return None if limit is not None and sum(choice) > limit else sum(choice)

    search.evolve(space, evaluate, random.Random(0), candidates=candidates,
                  population=population, tournament=5)
    return asked


def test_evolution_finds_better_than_chance_and_asks_nothing_twice():
    evolved, drawn = climb(120, 20), climb(120, 121)
    assert len(set(evolved)) == len(evolved) == len(drawn) == 120
    best = [sum(map(sum, asked[-30:])) / 30 for asked in (evolved, drawn)]
    assert best[0] > best[1] + 5


def test_what_does_not_count_is_no_candidate():
    asked = climb(30, 10, limit=8)
    assert sum(sum(choice) <= 8 for choice in asked) == 30
    assert len(asked) > 30


def test_a_space_that_is_exhausted_ends_the_search():
    assert len(climb(5000, 10)) == 1000


# ---- the command --------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _classes():
    pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
    pytest.importorskip('sklearn', reason='digits')


def test_classifiers_are_ranked_and_what_cannot_be_built_says_why(tmp_path, capsys):
    assert run(tmp_path) == 0
    rows = scores(tmp_path)
    refused = [row for row in rows.values() if 'refused' in row]
    scored = [row for row in rows.values() if 'score' in row]
    scored.sort(key=lambda row: -row['score'])
    assert (len(refused), len(scored)) == (2, 4)
    assert all('multiplied' in row['refused'] for row in refused)
    table = (tmp_path / 'ranking.md').read_text().splitlines()
    assert len(table) == 2 + 4
    assert f'depth {scored[0]["settings"]["backbone.depth"]}' in table[2]
    assert (tmp_path / 'ranking.png').read_bytes().startswith(b'\x89PNG')
    assert '"model.architecture.head.in_channels=' in capsys.readouterr().out
    convs = 9 * (3 * 4 + 4 * 16 + 4 * 8 + 8 * 8) + 4 * 4 + 4 * 8  # and two shortcuts
    norms = 2 * (4 + 2 * 4 + 3 * 4 + 3 * 8)
    assert rows['0,0']['params'] == convs + norms + 8 * 10 + 10


def test_a_search_goes_on_with_what_is_known_and_budgets_may_change(
    tmp_path, monkeypatch
):
    run(tmp_path)
    rows = scores(tmp_path)
    monkeypatch.setattr(search.Scorer, '_score', None)  # would be called
    limit = sorted(row['params'] for row in rows.values() if 'score' in row)[1]
    assert run(tmp_path, '--cfg-options', f'search.max_params={limit}') == 0
    assert scores(tmp_path) == rows
    assert len((tmp_path / 'ranking.md').read_text().splitlines()) == 2 + 2


def test_scores_of_other_settings_are_not_mixed(tmp_path, capsys):
    run(tmp_path)
    assert run(tmp_path, '--cfg-options', 'search.seeds=1') == 2
    assert 'scores of another seeds' in capsys.readouterr().err


def test_nothing_within_the_budget_is_an_error(tmp_path, capsys):
    assert run(tmp_path, '--cfg-options', 'search.max_flops=10') == 2
    told = capsys.readouterr().err
    assert '4 cost more than' in told
    assert '2 cannot be built' in told


@pytest.mark.parametrize(('key', 'value', 'message'), [
    ('strategy', 'evolve', "one of 'evolution', 'random'"),
    ('seeds', 0, 'search.seeds'), ('max_params', 'many', 'a number > 0'),
    ('seed', '[1]', 'an integer'), ('candidate', 3, 'Did you mean `candidates`')])
def test_a_wrong_key_is_told(tmp_path, capsys, key, value, message):
    assert run(tmp_path, '--cfg-options', f'search.{key}={value}') == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('content', ['{', '[]', '{"rows": {}}'])
def test_a_file_that_no_search_wrote_is_told(tmp_path, capsys, content):
    (tmp_path / 'search.json').write_text(content)
    assert run(tmp_path) == 2
    assert 'search.json' in capsys.readouterr().err


@pytest.mark.parametrize(('option', 'message'), [
    ('train_dataloader.dataset.type=DigitsDatset', '`train_dataloader`: cannot be'),
    ('train_dataloader=None', '`train_dataloader`: must be a dict'),
    ('model.teacher_ckpt=gone.pth', "no file 'gone.pth'")])
def test_missing_data_and_weights_are_told_once(tmp_path, capsys, option, message):
    assert run(tmp_path, '--cfg-options', option) == 2
    told = capsys.readouterr().err
    assert message in told
    assert 'candidates' not in told


def test_no_distillation_is_told():
    with pytest.raises(ConfigError, match='`architecture` and `teacher`'):
        search.search_config(Config(dict(model=dict(type='X'))))


def test_segmentors_are_scored_by_the_maps_of_their_classes(tmp_path):
    pytest.importorskip('mmseg')
    space = {'backbone.stem_channels, backbone.base_channels, decode_head.in_channels':
             [[4, 4, 32], [8, 8, 64]]}
    run(tmp_path, default_scope='mmseg', data_preprocessor=None,
        model=dict(architecture=segmentor(8), teacher=segmentor(8)),
        custom_imports=dict(imports=['mmkd_ext.testing.toy']),
        train_dataloader=dict(
            batch_size=2, num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=dict(type='mmkd_ext.ToyDataset', size=32, scale=255.0)),
        search=dict(space=space, seeds=1, batch_size=3))
    narrow, same = (scores(tmp_path)[key]['score'] for key in ('0', '1'))
    # the second is the teacher itself, of the same seed
    assert same == pytest.approx(0, abs=1e-6)
    assert narrow < -1e-3
