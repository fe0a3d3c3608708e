"""The docs say what is there: tables, links, commands, snippets and their outputs."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import expand
import outputs
import pytest

from mmkd_ext import _catalog

ROOT = Path(__file__).resolve().parents[1]
DISTILL = ROOT / 'configs' / 'distill'

# a method that is measured on other data first has its README before its configs
FOLDERS = sorted(path.parent for path in (ROOT / 'configs').rglob('README.md')
                 if any(path.parent.glob('*.py')))
CONFIGS = sorted(path for folder in FOLDERS for path in folder.glob('*.py'))
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')),
    *sorted((ROOT / 'docs').rglob('*.md')), *sorted(DISTILL.rglob('*.md'))]
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


SCHEMES = sorted((ROOT / 'benchmarks/configs/schemes').glob('*.py'))


@pytest.mark.parametrize('path', [*CONFIGS, *SCHEMES], ids=name)
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
        'class XYZLoss:\n    """Compares ``a`` with b."""\n')
    folder = copy / 'configs/distill/mmseg/xyz'
    folder.mkdir()
    (folder / 'README.md').write_text(
        '# XYZ for segmentation\n\n[A\nPaper](http://x.org), 2026.\n')
    (folder / 'xyz_a_b_1xb2-3i_coco.py').write_text(
        '"""XYZ: A -> B.\n\nPaper: x\nCommand: y\nExpected: 3.0 |\nmIoU.\n'
        'Status: measured\n"""\n_base_ = []\n')
    row = ('| [XYZ](/_generated/xyz.md) | [A Paper](http://x.org) | '
           'Compares `a` with b. | 1 | 0 | 0 | 1 of 1 |')
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


# ---- what pages refer to ----------------------------------------------------------


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_links_files_and_make_targets_of_a_page_exist(page):
    broken = [
        target
        for target in re.findall(r'\[[^\]]*\]\(([^)\s]+)\)', prose(page))
        if '://' not in target
        and not (page.parent / target.partition('#')[0]).exists()
    ]
    assert broken == []
    text = page.read_text(encoding='utf-8')
    folders = 'tools|configs|benchmarks|tests|docs|mmkd_ext|projects|requirements'
    named = re.findall(
        rf'(?<![\w/.:-])((?:{folders})/[\w./-]+\.(?:py|sh|txt|md))\b', text)
    placeholders = re.compile(r'NAME|/x\.py|/x/|test_x\.py')
    assert [path for path in named if not placeholders.search(path)
            and not (ROOT / path).exists()] == []
    targets = re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    assert set(re.findall(r'(?:^|`)make ([a-z-]+)', text, re.M)) <= {*targets}


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
        and (path.suffix == '.py' or (path / '__init__.py').exists())}
    assert there - shown == {'mmkd_ext.discovery', 'mmkd_ext.version', 'mmkd_ext.razor'}


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
    assert check_config(config, data=False).problems == []


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
