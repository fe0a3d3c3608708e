"""The grid, over a stand-in for tools/test.py that writes results in no time."""

from __future__ import annotations

import importlib.util
import json
import re
import textwrap
from pathlib import Path

import pytest
from made_results import make_results

from experiment_kit.grid import GridRunner, collect, load_grid
from experiment_kit.runner import StepError
from mmkd_ext.errors import ConfigError

ROOT = Path(__file__).parents[2]

# adapts to four cells; `die` in the config's name stops it after two, once
TEST = """
import argparse, json, pathlib, sys
p = argparse.ArgumentParser()
p.add_argument('config'); p.add_argument('checkpoint'); p.add_argument('--work-dir')
p.add_argument('--resume', action='store_true')
p.add_argument('--cfg-options', nargs='*')
a = p.parse_args()
o = dict(word.split('=', 1) for word in a.cfg_options)
with open('calls.txt', 'a') as f:
    f.write(' '.join(sys.argv[1:]) + chr(10))
folder = pathlib.Path(a.work_dir)
stop = 2 if 'die' in a.config and not a.resume else None
method = 'Source' if 'source' in a.config else 'DoSe'
seed = int(o['test_cfg.seed'])
order = ['fog', 'night']
if o.get('test_cfg.order'):
    order = order[::-1]
rate = float(o.get('test_cfg.optim_wrapper.optimizer.lr', 0))
content = json.loads(pathlib.Path('template.json').read_text())
content['settings'].update(method=method, seed=seed, order=order, rate=rate)
content['cells'] = content['cells'][:stop]
for place, cell in enumerate(content['cells']):
    cell['domain'] = order[place % 2]
    cell['mIoU'] = 50.0 + (method != 'Source') * (seed + 100 * rate)
(folder / 'results.json').write_text(json.dumps(content))
(folder / 'stream_state.pth').write_text('x')
sys.exit(stop or 0)
"""
GRID = """
    name = 'toy'
    title = 'Toy'
    checkpoint = 'source.pth'
    methods = dict(
        source=dict(config='source.py', title='Source', once=True, learning_rates=()),
        dose=dict(config='dose.py', title='DoSe', options={'model.guard': 'x'}),
    )
    orders = dict(forward=None, reverse=['night', 'fog'])
    learning_rates = (0.01, 0.1)
    seeds = (0, 1)
    options = {'test_cfg.rounds': 2}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('tools').mkdir()
    Path('tools/test.py').write_text(TEST)
    template = make_results(rounds=2, order=['fog', 'night'], bare=True)
    Path('template.json').write_text(json.dumps(template))
    Path('toy.py').write_text(textwrap.dedent(GRID))
    Path('source.pth').write_text('weights')
    for name in ('source', 'dose', 'die'):
        Path(f'{name}.py').write_text('x = 1\n')
    return tmp_path


def calls():
    path = Path('calls.txt')
    return path.read_text().splitlines() if path.exists() else []


def runner(**policy):
    logged = []
    made = GridRunner(load_grid('toy.py'), Path('source.pth'), 'work',
                      log=logged.append, **policy)
    made.logged = logged
    return made


@pytest.fixture
def tool():
    path = ROOT / 'benchmarks' / 'adapt_grid.py'
    spec = importlib.util.spec_from_file_location('tool_adapt_grid', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_runs_of_a_grid(place):
    grid = load_grid('toy.py')
    assert [run.name for run in grid.runs] == [
        'source/forward-seed0', 'source/reverse-seed0',
        'dose/forward-lr0.01-seed0', 'dose/forward-lr0.1-seed0',
        'dose/reverse-lr0.01-seed0', 'dose/reverse-lr0.1-seed0',
        # the source draws nothing, so one seed serves both
        'dose/forward-lr0.01-seed1', 'dose/forward-lr0.1-seed1',
        'dose/reverse-lr0.01-seed1', 'dose/reverse-lr0.1-seed1']
    assert grid.label(grid.runs[3]) == 'DoSe, forward, lr 0.1'
    assert grid.options_of(grid.runs[5]) == {
        'test_cfg.rounds': 2, 'model.guard': 'x', 'randomness.seed': 0,
        'test_cfg.seed': 0, 'test_cfg.order': '[night,fog]',
        'test_cfg.optim_wrapper.optimizer.lr': 0.1}


def test_each_run_is_one_call_and_what_is_done_is_kept(place):
    one = runner(jobs=2)
    one.run(one.grid.runs)
    assert len(calls()) == 10
    assert 'source.py source.pth --work-dir work/source/forward-seed0' in ' '.join(
        sorted(calls()))
    again = runner()
    again.run(again.grid.runs)
    assert len(calls()) == 10
    assert any('round 2 night: mIoU 50.0' in line for line in one.logged)


def test_another_checkpoint_or_config_runs_anew_and_fresh_does_too(place):
    run = load_grid('toy.py').runs[:1]
    runner().run(run)
    Path('source.pth').write_text('other weights')
    runner().run(run)
    Path('source.py').write_text('x = 2\n')
    runner().run(run)
    runner(fresh=True).run(run)
    assert len(calls()) == 4
    assert not any('--resume' in call for call in calls())


def test_an_interrupted_run_goes_on(place):
    Path('toy.py').write_text(Path('toy.py').read_text().replace('dose.py', 'die.py'))
    one = runner()
    run = one.grid.runs[2:3]
    with pytest.raises(StepError, match='adapt dose/forward'):
        one.run(run)
    assert one.done(run[0]) is None
    one.run(run)
    assert ['--resume' in call for call in calls()] == [False, True]
    assert one.done(run[0]).missing == []


def test_one_that_fails_stops_the_others_unless_asked_to_go_on(place):
    Path('toy.py').write_text(Path('toy.py').read_text().replace('source.py', 'die.py'))
    one = runner(keep_going=True)
    one.run(one.grid.runs[:3])
    assert one.failed == {'source/forward-seed0': 'StepError',
                          'source/reverse-seed0': 'StepError'}
    assert one.done(one.grid.runs[2]) is not None
    content = collect(one)
    assert content['failed'] == one.failed
    assert {'run': 'Source, forward', 'seed': 0} in content['missing']
    assert list(content['runs']) == ['DoSe, forward, lr 0.01']


def test_figures_are_collected_with_mean_spread_gain_and_best_rate(place):
    one = runner(jobs=2)
    one.run(one.grid.runs)
    content = collect(one, note='hello')
    # 50 + seed + 100 * rate: 51 and 52 with 0.01, 60 and 61 with 0.1
    low, high = (content['runs'][f'DoSe, forward, lr {r}'] for r in ('0.01', '0.1'))
    assert low['mIoU'] == {'mean': 51.5, 'std': 0.71, 'values': [51.0, 52.0]}
    assert high['gain']['values'] == [10.0, 11.0]
    assert high['gain']['over'] == 'Source, forward'
    assert content['runs']['DoSe, reverse, lr 0.1']['gain']['over'] == 'Source, reverse'
    assert content['best'][0] == {'method': 'dose', 'order': 'forward',
                                  'learning_rate': 0.1, 'mIoU': 60.5, 'tried': 2}
    assert {'machine', 'versions', 'commit', 'date'} <= set(content)
    assert (content['missing'], content['note']) == ([], 'hello')
    text = json.dumps(content)
    assert not re.search(r'"/(root|home|work|tmp)', text)
    assert str(place) not in text


def test_shards_do_each_run_once_and_the_last_collects_all(place, tool, capsys):
    for shard in ('1/3', '3/3', '2/3'):
        assert tool.main(['toy.py', '--shard', shard, '--json', 'out.json']) == 0
    assert len(calls()) == 10
    assert len(set(calls())) == 10
    content = json.loads(Path('out.json').read_text())
    assert content['missing'] == []
    assert len(content['runs']) == 6
    assert '60.5 ± 0.7' in capsys.readouterr().out


def test_the_command_lists_collects_and_tells_errors(place, tool, capsys):
    assert tool.main(['toy.py', '--list', '--shard', '2/10']) == 0
    assert capsys.readouterr().out == 'source/reverse-seed0\n'
    assert tool.main(['toy.py', '--collect', '--json', 'out.json']) == 0
    assert '10 runs are missing' in capsys.readouterr().err
    assert calls() == []
    assert tool.main(['toy.py', '--checkpoint', 'nothing.pth']) == 1
    assert "no such file 'nothing.pth'" in capsys.readouterr().err
    assert tool.main(['other.py']) == 1
    assert "No grid file 'other.py'" in capsys.readouterr().err
    assert tool.main(['toy.py', '--shard', '4/3']) == 1
    assert 'i from 1 to n' in capsys.readouterr().err


def test_every_problem_of_a_grid_is_told(place):
    Path('bad.py').write_text(
        "nam = 'x'\nmethods = dict(a=dict(config='no.py', titel='A'))\n")
    with pytest.raises(ConfigError) as error:
        load_grid('bad.py')
    text = str(error.value)
    for word in ('`nam`', 'Did you mean `name`', '`name`: missing', '`checkpoint`',
                 'methods.a.titel', "no such file: 'no.py'"):
        assert word in text
    assert len(error.value.problems) == 5


def test_a_source_is_trained_once_and_not_by_shards(place, tool, capsys):
    Path('tools/train.py').write_text(textwrap.dedent("""
        import pathlib, sys
        folder = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
        with open('trained.txt', 'a') as f:
            f.write('x')
        (folder / 'iter_1.pth').write_text('weights')
        (folder / 'last_checkpoint').write_text(str(folder / 'iter_1.pth'))
    """))
    text = Path('toy.py').read_text()
    Path('toy.py').write_text(
        text.replace("checkpoint = 'source.pth'", "source = 'dose.py'"))
    assert tool.main(['toy.py', '--shard', '1/2', '--json', 'o.json']) == 1
    assert '--source-only' in capsys.readouterr().err
    assert tool.main(['toy.py', '--source-only']) == 0
    assert calls() == []
    for shard in ('1/2', '2/2'):
        assert tool.main(['toy.py', '--shard', shard, '--json', 'o.json']) == 0
    # another grid of the same source shares it
    Path('toy2.py').write_text(Path('toy.py').read_text().replace("'toy'", "'toy2'"))
    assert tool.main(['toy2.py', '--json', 'o2.json']) == 0
    assert Path('trained.txt').read_text() == 'x'
    assert all('work_dirs/grid/sources/dose/iter_1.pth' in call for call in calls())
    assert json.loads(Path('o.json').read_text())['missing'] == []
