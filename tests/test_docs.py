"""The docs say what is there: tables, links, commands, snippets and their outputs."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DISTILL = ROOT / 'configs' / 'distill'


def load(path):
    """Imports a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and `expand` look there
    spec.loader.exec_module(module)
    return module


method_table = load(ROOT / 'docs' / 'method_table.py')
outputs = load(ROOT / 'docs' / 'outputs.py')
expand = load(ROOT / 'docs' / 'expand.py')

METAFILES = sorted(DISTILL.glob('*/*/metafile.yml'))
CONFIGS = sorted(DISTILL.glob('*/*/*.py'))
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')),
    *sorted((ROOT / 'docs').rglob('*.md')),
    *sorted(DISTILL.rglob('*.md')),
]
PAGES = [page for page in PAGES if '_build' not in page.parts]


def name(path):
    return str(path.relative_to(ROOT))


def prose(page):
    """A page without its fenced blocks."""
    text = page.read_text(encoding='utf-8')
    return re.sub(r'^```.*?^```$', '', text, flags=re.DOTALL | re.MULTILINE)


# ---- metafiles and config headers -------------------------------------------------


def test_every_config_is_in_a_metafile_and_every_entry_is_a_config():
    listed = [
        model['Config']
        for path in METAFILES
        for model in yaml.safe_load(path.read_text())['Models']
    ]
    assert sorted(listed) == [name(path) for path in CONFIGS]


@pytest.mark.parametrize('path', METAFILES, ids=name)
def test_a_metafile_has_what_openmmlab_reads(path):
    content = yaml.safe_load(path.read_text())
    (collection,) = content['Collections']
    assert collection['Paper'].keys() == {'URL', 'Title'}
    assert collection['README'] == name(path.with_name('README.md'))
    assert path.with_name('README.md').is_file()
    for model in content['Models']:
        config = ROOT / model['Config']
        assert config.parent == path.parent
        assert model['Name'] == config.stem
        assert model['In Collection'] == collection['Name']
        status = method_table.read_config(Path(model['Config'])).header['Status']
        assert ('Results' in model) == (status == 'measured')


def test_mim_reads_the_metafiles(tmp_path):
    modelindex = pytest.importorskip('modelindex')
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    listed = '\n'.join(f'  - {name(path)}' for path in METAFILES)
    (tmp_path / 'model-index.yml').write_text(f'Import:\n{listed}\n')
    index = modelindex.load(str(tmp_path / 'model-index.yml'))
    search = pytest.importorskip('mim.commands.search')
    assert set(search.convert2df(index).index) == {path.stem for path in CONFIGS}
    assert {model.config for model in index.models} == {name(path) for path in CONFIGS}
    # mim finds a model's collection by its name
    names = [collection.name for collection in index.collections]
    assert len(set(names)) == len(names) == len(METAFILES)


@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_a_config_says_paper_command_expected_and_status(path):
    config = method_table.read_config(path.relative_to(ROOT))
    assert tuple(config.header) == method_table.HEADER
    assert all(config.header.values())
    assert config.header['Status'] in method_table.STATUSES
    assert 'http' in config.header['Paper']


# ---- what is generated ------------------------------------------------------------


def test_tables_and_pages_of_methods_are_up_to_date():
    assert method_table.stale() == [], 'run: python docs/method_table.py'


@pytest.fixture
def copy(tmp_path):
    """A copy of what the tables are made from and written to."""
    for part in ('mmkd_ext/methods', 'configs/distill', 'docs/methods'):
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy2(ROOT / 'README.md', tmp_path)
    results = ROOT / 'benchmarks' / 'results'
    if results.is_dir():
        shutil.copytree(results, tmp_path / 'benchmarks' / 'results')
    assert method_table.stale(tmp_path) == []
    return tmp_path


def shown(paths, root):
    return [str(path.relative_to(root)) for path in paths]


def test_a_changed_header_makes_its_table_stale(copy):
    (path,) = (copy / 'configs/distill/mmseg/kd').glob('kd-logits_pspnet-r101_p*.py')
    path.write_text(path.read_text().replace('Status: unrun', 'Status: smoke'))
    (found,) = shown(method_table.stale(copy), copy)
    assert found == 'configs/distill/mmseg/kd/README.md'


def test_a_new_method_appears_in_every_table(copy):
    (copy / 'mmkd_ext/methods/xyz.py').write_text(
        'r"""XYZ: A Paper."""\n@MODELS.register_module()\n'
        'class XYZLoss:\n    """Compares ``a`` with b."""\n'
    )
    assert shown(method_table.stale(copy), copy) == [
        'README.md', 'docs/methods/index.md', 'docs/methods/xyz.md']
    table = method_table.methods_table(method_table.read_methods(copy), '{}.md')
    assert '| [XYZ](xyz.md) |  | Compares `a` with b. | 0 | 0 | 0 of 0 |' in table


def test_the_page_of_a_method_that_is_gone_is_stale(copy):
    (copy / 'docs/methods/gone.md').write_text('# Gone\n')
    assert shown(method_table.stale(copy), copy) == ['docs/methods/gone.md']


def test_its_examples_run():
    found = doctest.testmod(method_table)
    assert found.attempted > 0
    assert found.failed == 0


def test_lost_marks_are_told():
    with pytest.raises(ValueError, match='methods:begin'):
        method_table.replace_block('nothing here', 'methods', 'x')


EXPERIMENT = {
    'title': 'An experiment', 'command': 'python tools/repeat.py x', 'seeds': [0, 1],
    'date': '2026-01-02', 'commit': '0123456789abcdef0123+changes',
    'machine': {'processor': 'a processor', 'cores': 2},
    'runs': {'teacher': {'title': 'the teacher'}, 'student': {'title': 'alone'},
             'distilled': {'title': 'distilled'}},
    'sets': {'val': {
        'runs': {
            'teacher': {'mIoU': {'mean': 61.5, 'std': None, 'values': [61.5]}},
            'student': {'mIoU': {'mean': 50.0, 'std': 1.41, 'values': [49.0, 51.0]}},
            'distilled': {'mIoU': {'mean': 51.0, 'std': 0.0, 'values': [51.0, 51.0]}},
        },
        'gain': {'distilled': {'over': 'student', 'mean': 1.0, 'std': 1.41,
                               'values': [2.0, 0.0]}},
    }},
}
STEP = {
    'environment': {'commit': 'abc', 'versions': {'torch': '2'}, 'processor': 'p',
                    'threads': 1},
    'results': [{'pair': 'a pair', 'input': [2, 3, 8, 8], 'rows': {'a job': {
        'median_ms': 123.4, 'q1_ms': 120.0, 'q3_ms': 130.0,
        'to_floor': {'median': 1.034}, 'peak_mib': 55.5}}}],
}
LOSSES = {
    'environment': STEP['environment'],
    'results': [{'loss': 'CWD', 'shape': [2, 19, 8, 8],
                 'time': {'mmkd_ext': {'median_ms': 1.3}, 'mmrazor': {'median_ms': 5}},
                 'time_ratio': {'median': 0.25},
                 'peak_mib': {'mmkd_ext': 3.0, 'mmrazor': 6.0}}],
}


def test_results_are_shown_with_mean_spread_and_seeds():
    text = method_table.experiment_text(EXPERIMENT)
    assert '| the teacher | 61.50 | 1 |  |  |' in text
    assert '| alone | 50.00 ± 1.41 | 2 |  |  |' in text
    assert '| distilled | 51.00 ± 0.00 | 2 | +1.00 ± 1.41 | +2.00, +0.00 |' in text
    assert 'seeds 0, 1' in text
    assert '`0123456789ab+changes`' in text


def test_a_detection_shows_ap_its_classes_and_what_distilling_costs():
    def value(mean):
        return {'mean': mean, 'std': 0.5, 'values': [mean, mean]}

    def run(ap):
        return {'AP': value(ap), 'AP50': value(ap + 20),
                'class AP': {'RBC': value(ap - 5)}}

    gain = {'over': 'student', **value(0.25), 'verdict': 'none'}
    content = {
        **EXPERIMENT,
        'runs': {
            'student': {'title': 'alone', 'step': {'seconds': 0.2, 'to_plain': 1.0}},
            'fgd': {'title': 'FGD', 'step': {'seconds': 0.3, 'to_plain': 1.5},
                    'kd_share': {'all': {'first': 60.0, 'last': 30.0, 'mean': 45.0}}},
        },
        'sets': {'val': {'lead': 'AP', 'gain': {'fgd': gain},
                         'runs': {'student': run(40.0), 'fgd': run(40.25)}}},
    }
    text = method_table.experiment_text(content)
    assert '|  | AP on val | AP50 | RBC | runs | gain | gain of each seed |' in text
    assert '| FGD | 40.25 ± 0.50 | 60.25 ± 0.50 | 35.25 ± 0.50 | 2 |' in text
    assert 'none (+0.25 ± 0.50)' in text
    assert '| FGD | 300 | 1.50 | 60 | 45 |' in text


def test_results_that_are_not_there_are_named_with_their_command(tmp_path):
    text = method_table.results_text(tmp_path)
    for experiment in method_table.MEASURED:
        assert f'benchmarks/repeat.py benchmarks/experiments/{experiment}.py' in text
    folder = tmp_path / 'benchmarks' / 'results'
    folder.mkdir(parents=True)
    (folder / 'demo.json').write_text(json.dumps(EXPERIMENT))
    assert '### An experiment' in method_table.results_text(tmp_path)


def test_the_benchmarks_page_reads_every_kind_of_result(tmp_path):
    assert expand.benchmarks_text(tmp_path) == 'There are no results yet.'
    kinds = {'a': EXPERIMENT, 'b': STEP, 'c': LOSSES, 'd': {'other': 1}}
    for stem, content in kinds.items():
        (tmp_path / f'{stem}.json').write_text(json.dumps(content))
    text = expand.benchmarks_text(tmp_path)
    assert '## An experiment' in text
    assert '| a job | 123 | 120 to 130 | 1.034 | 56 |' in text
    assert '| CWD | 2 x 19 x 8 x 8 | 1.3 | 5.0 | 0.25 | 3.0 | 6.0 |' in text
    assert 'See `benchmarks/results/d.json`.' in text


# ---- what pages refer to ----------------------------------------------------------


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_links_between_pages_resolve(page):
    broken = [
        target
        for target in re.findall(r'\[[^\]]*\]\(([^)\s]+)\)', prose(page))
        if '://' not in target
        and not (page.parent / target.partition('#')[0]).exists()
    ]
    assert broken == []


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_files_that_are_named_exist(page):
    text = page.read_text(encoding='utf-8')
    found = re.findall(
        r'(?<![\w/.:-])((?:tools|configs|benchmarks|tests|docs|mmkd_ext|requirements)/'
        r'[\w./-]+\.(?:py|sh|txt|md))\b', text)
    placeholders = re.compile(r'NAME|/x\.py|/x/|test_x\.py')
    missing = [
        path for path in found
        if not placeholders.search(path) and not (ROOT / path).exists()
    ]
    assert missing == []


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_make_targets_that_are_named_exist(page):
    targets = re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    text = page.read_text(encoding='utf-8')
    named = re.findall(r'(?:^|`)make ([a-z-]+)', text, re.MULTILINE)
    assert [target for target in named if target not in targets] == []


def test_tests_that_are_named_exist():
    named = re.findall(r'`(tests/[\w/]+\.py)::(\w+)`', (ROOT / 'README.md').read_text())
    assert len(named) >= 5
    for path, test in named:
        tree = ast.parse((ROOT / path).read_text())
        assert test in {node.name for node in ast.walk(tree)
                        if isinstance(node, ast.FunctionDef)}, (path, test)


def test_every_module_is_in_the_reference():
    pages = '\n'.join(p.read_text() for p in (ROOT / 'docs' / 'api').glob('*.md'))
    shown = set(re.findall(r'(?:modules:|automodule::) (mmkd_ext\.\w+)', pages))
    there = {
        f'mmkd_ext.{path.stem}'
        for path in (ROOT / 'mmkd_ext').iterdir()
        if not path.name.startswith(('_', '.'))
        and (path.suffix == '.py' or (path / '__init__.py').exists())
    }
    assert there - shown == {'mmkd_ext.discovery', 'mmkd_ext.version', 'mmkd_ext.razor'}


def test_no_page_names_a_path_of_one_machine():
    pattern = re.compile(r'(?:^|[\s"\'=(`])/(?:home|root|work|Users|tmp)/')
    assert [name(page) for page in PAGES if pattern.search(page.read_text())] == []


# ---- what pages run ---------------------------------------------------------------


@pytest.fixture
def _left_as_it_was():
    """Snippets register classes, and schedules ask the last runner where it is."""
    from mmengine.logging import MessageHub

    from mmkd_ext.registry import MODELS

    MessageHub.get_current_instance().runtime_info.clear()
    yield
    for key, cls in list(MODELS.module_dict.items()):
        if cls.__module__ == '__main__':
            del MODELS.module_dict[key]


def runs(page):
    text = page.read_text(encoding='utf-8')
    return outputs.SNIPPET.search(text) or outputs.COMMAND.search(text)


@pytest.mark.usefixtures('_left_as_it_was')
@pytest.mark.parametrize('page', [page for page in PAGES if runs(page)], ids=name)
def test_marked_snippets_run_and_print_what_the_page_shows(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = page.read_text(encoding='utf-8')
    assert outputs.refreshed(text) == text, 'run: python docs/outputs.py'


def test_every_mark_is_understood():
    for page in outputs.pages():
        text = page.read_text(encoding='utf-8')
        marks = len(re.findall(r'^<!-- (?:run|output|output of: .*) -->$', text,
                               re.MULTILINE))
        snippets = outputs.SNIPPET.findall(text)
        printed = sum(1 for _, old in snippets if old)
        commands = len(outputs.COMMAND.findall(text))
        assert marks == len(snippets) + printed + commands, name(page)


def test_an_output_that_has_changed_is_replaced():
    page = ('<!-- run -->\n```python\nprint("now", 3)\n```\n\n'
            '<!-- output -->\n```text\nbefore 3\n```\n')
    assert outputs.refreshed(page) == page.replace('before', 'now')


def test_an_output_may_differ_in_digits_only():
    page = ('<!-- run -->\n```python\nprint("loss", 0.125)\n```\n\n'
            '<!-- output -->\n```text\nloss 0.124\n```\n')
    assert outputs.refreshed(page) == page
    assert not outputs.alike('loss 0.1', 'lost 0.1')


@pytest.mark.parametrize('name', ['pspnet.py', 'adapt.py'])
def test_the_example_of_the_readme_is_the_file_that_is_tested(name):
    example = (ROOT / 'docs/examples' / name).read_text()
    assert f'```python\n{example}```' in (ROOT / 'README.md').read_text()
    assert len(example.splitlines()) <= 25


@pytest.mark.mmseg
def test_the_adaptation_of_the_readme_loads_and_has_no_problem():
    from mmengine.config import Config

    from mmkd_ext.config.check import check_config

    config = Config.fromfile(ROOT / 'docs/examples/adapt.py')
    assert [one.name for one in config.test_cfg.domains] == [
        'fog', 'night', 'rain', 'snow']
    # a small head in place of a ResNet-50's
    config.model.architecture = dict(
        cfg_path=config.model.architecture,
        backbone=dict(depth=18, stem_channels=8, base_channels=8),
        decode_head=dict(in_channels=64, channels=8),
        auxiliary_head=dict(in_channels=32, channels=8), pretrained=None)
    assert check_config(config, data=False).findings.problems == []


@pytest.mark.slow
@pytest.mark.mmseg
def test_the_example_of_the_readme_has_no_problem_but_the_missing_checkpoint():
    from mmengine.config import Config

    from mmkd_ext.config.check import check_config

    cfg = Config.fromfile(ROOT / 'docs/examples/pspnet.py')
    report = check_config(cfg, gradients=False, data=False)
    (problem,) = report.findings.problems
    assert problem.path == 'model.teacher_ckpt'
    assert report.terms[-1].name == 'distill.loss_cwd'


@pytest.mark.slow
@pytest.mark.mmdet
@pytest.mark.mmseg
def test_the_docs_build_without_warnings(tmp_path):
    if not all(map(importlib.util.find_spec, ('sphinx', 'myst_parser', 'furo'))):
        pytest.skip('what builds the docs is not installed: `make docs` brings it')
    command = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q', '-b', 'html']
    done = subprocess.run(
        [*command, 'docs', str(tmp_path)], cwd=ROOT, text=True, capture_output=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)}, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
