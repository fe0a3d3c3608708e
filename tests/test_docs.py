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

from mmkd_ext import _catalog

ROOT = Path(__file__).resolve().parents[1]
DISTILL = ROOT / 'configs' / 'distill'


def load(path):
    """Imports a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and `expand` look there
    spec.loader.exec_module(module)
    return module


results = load(ROOT / 'docs' / 'results.py')  # which `expand` imports
outputs = load(ROOT / 'docs' / 'outputs.py')
expand = load(ROOT / 'docs' / 'expand.py')

# a method that is measured on other data first has its README before its configs
FOLDERS = sorted(
    path.parent
    for path in (ROOT / 'configs').rglob('README.md')
    if any(path.parent.glob('*.py'))
)
CONFIGS = sorted(path for folder in FOLDERS for path in folder.glob('*.py'))
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')),
    *sorted((ROOT / 'docs').rglob('*.md')),
    *sorted(DISTILL.rglob('*.md')),
]
PAGES = [page for page in PAGES if not {'_build', '_generated'} & {*page.parts}]


def name(path):
    return str(path.relative_to(ROOT))


def prose(page):
    """A page without its fenced blocks."""
    text = page.read_text(encoding='utf-8')
    return re.sub(r'^```.*?^```$', '', text, flags=re.DOTALL | re.MULTILINE)


# ---- config headers and what is made of them ----------------------------------------


def test_every_folder_of_recipes_has_a_readme():
    recipes = {path.parent for path in DISTILL.glob('*/*/*.py')}
    assert recipes <= set(FOLDERS)


@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_a_config_says_paper_command_expected_and_status(path):
    header = _catalog.read_recipe(path).header
    assert tuple(header) == _catalog.HEADER
    assert all(header.values())
    assert header['Status'] in _catalog.STATUSES
    assert 'http' in header['Paper'] or not path.is_relative_to(DISTILL)


@pytest.mark.parametrize('folder', FOLDERS, ids=name)
def test_a_folder_has_a_title_and_configs_and_its_paper(folder):
    found = _catalog.read_folder(folder)
    assert found.title != folder.name
    assert found.recipes
    assert found.url.startswith('http') or found.title == 'Source only'


def test_mim_reads_the_metafile(tmp_path):
    modelindex = pytest.importorskip('modelindex')
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    content = _catalog.metafile(tmp_path / 'configs')
    (tmp_path / 'metafile.yml').write_text(json.dumps(content))
    (tmp_path / 'model-index.yml').write_text('Import:\n  - metafile.yml\n')
    index = modelindex.load(str(tmp_path / 'model-index.yml'))
    search = pytest.importorskip('mim.commands.search')
    assert set(search.convert2df(index).index) == {path.stem for path in CONFIGS}
    assert {model.config for model in index.models} == {name(path) for path in CONFIGS}
    # mim finds a model's collection by its name
    names = [collection.name for collection in index.collections]
    assert len(set(names)) == len(names) == len(FOLDERS)
    assert all((ROOT / collection.readme).is_file() for collection in index.collections)


@pytest.fixture
def copy(tmp_path):
    """A copy of what the pages of methods are made from."""
    for part in ('mmkd_ext/methods', 'configs/distill', 'configs/adapt'):
        shutil.copytree(ROOT / part, tmp_path / part)
    return tmp_path


def test_a_new_method_appears_in_the_table_and_has_a_page(copy):
    (copy / 'mmkd_ext/methods/xyz.py').write_text(
        'r"""XYZ: A Paper."""\n@MODELS.register_module()\n'
        'class XYZLoss:\n    """Compares ``a`` with b."""\n'
    )
    folder = copy / 'configs/distill/mmseg/xyz'
    folder.mkdir()
    (folder / 'README.md').write_text(
        '# XYZ for segmentation\n\n[A\nPaper](http://x.org), 2026.\n')
    (folder / 'xyz_a_b_1xb2-3i_coco.py').write_text(
        '"""XYZ: A -> B.\n\nPaper: x\nCommand: y\nExpected: 3.0 |\nmIoU.\n'
        'Status: measured\n"""\n_base_ = []\n')
    row = ('| [XYZ](/_generated/xyz.md) | [A Paper](http://x.org) | '
           'Compares `a` with b. | 1 | 0 | 1 of 1 |')
    assert row in expand.methods_text(copy).splitlines()
    page = expand.pages(copy)['xyz']
    assert '.. automodule:: mmkd_ext.methods.xyz' in page
    assert '| `xyz_a_b_1xb2-3i_coco.py` | measured | 3.0 \\| mIoU. |' in page
    models = _catalog.metafile(copy / 'configs')['Models']
    (model,) = (model for model in models if model['Name'].startswith('xyz'))
    assert model['Config'] == 'configs/distill/mmseg/xyz/xyz_a_b_1xb2-3i_coco.py'
    assert model['Metadata']['Training Data'] == 'COCO'


def test_the_page_of_a_method_that_is_gone_is_removed(tmp_path):
    app = type('App', (), dict(srcdir=tmp_path))
    (tmp_path / '_generated').mkdir()
    (tmp_path / '_generated' / 'gone.md').write_text('# Gone\n')
    expand.write_pages(app)
    pages = {path.stem for path in (tmp_path / '_generated').iterdir()}
    assert {'cwd', 'adapt-tent'} <= pages
    assert 'gone' not in pages


def test_its_examples_run():
    found = doctest.testmod(results)
    assert found.attempted > 0
    assert found.failed == 0


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
    text = results.experiment_text(EXPERIMENT)
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
    text = results.experiment_text(content)
    assert '|  | AP on val | AP50 | RBC | runs | gain | gain of each seed |' in text
    assert '| FGD | 40.25 ± 0.50 | 60.25 ± 0.50 | 35.25 ± 0.50 | 2 |' in text
    assert 'none (+0.25 ± 0.50)' in text
    assert '| FGD | 300 | 1.50 | 60 | 45 |' in text


def test_figures_of_the_demo_in_the_readme_are_those_of_the_results():
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    content = json.loads((ROOT / 'benchmarks/results/demo.json').read_text())
    shown = re.findall(r'^\| (?:teacher|student \w+) \|.*$', text, re.MULTILINE)
    assert set(shown) <= set(results.experiment_text(content).splitlines())


def test_the_benchmarks_page_reads_every_kind_of_result(tmp_path):
    assert results.benchmarks_text(tmp_path) == 'There are no results yet.'
    kinds = {'a': EXPERIMENT, 'b': STEP, 'c': LOSSES, 'd': {'other': 1}}
    for stem, content in kinds.items():
        (tmp_path / f'{stem}.json').write_text(json.dumps(content))
    text = results.benchmarks_text(tmp_path)
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
    page = (ROOT / 'docs/howto/port_mmrazor.md').read_text()
    named = re.findall(r'`(tests/[\w/]+\.py)::(\w+)`', page)
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
