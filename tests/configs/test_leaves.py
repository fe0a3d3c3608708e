"""How configs are made: short leaves, few files, and names that say what they hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmkd_ext.config.names import parse_name

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
BASE = CONFIGS / '_base_'
MEASURED = ROOT / 'benchmarks' / 'configs'
DISTILL = sorted((CONFIGS / 'distill').rglob('*.py'))
ADAPT = sorted((CONFIGS / 'adapt').rglob('*.py'))
PLAIN = sorted((CONFIGS / 'plain').rglob('*.py'))
PRESETS = sorted((BASE / 'links').glob('*.py'))
TASKS = sorted((BASE / 'tasks').glob('*.py'))

#: Leaves of benchmarks/configs that are longer than 15 lines, and why.
LONG = {
    'demo/cross-modal': 'two pipelines, and the link as a whole',
    'demo/distilled': 'the quickstart shows a link as a whole',
    'cifar10/search': 'the networks of a search',
    'cifar10/simkd': 'the head of its student is its own',
    'cifar10/sskd': 'two stages on four views, here alone',
    'cifar10/sskd-head': 'a schedule of its own',
    'bccd/fgd+ld': 'no other config has this combination',
    'camvid/cirkd-v2': 'its form of the channel terms is of CamVid alone',
    'camvid/ka': 'its two stages are of CamVid alone',
    'camvid/student': 'SegFormer has a schedule of its own',
    'camvid/teacher': 'a schedule of its own'}


def source(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'))


def code_lines(path: Path) -> int:
    """Lines below the docstring that are not blank."""
    first = source(path).body[0]
    start = first.end_lineno if isinstance(first, ast.Expr) else 0
    return sum(bool(line.strip()) for line in path.read_text().splitlines()[start:])


def own_files(path: Path) -> set[Path]:
    """The config and the files of this repository that it is made of."""
    bases = [
        ast.literal_eval(node.value)
        for node in source(path).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_']
    names = bases[0] if bases else []
    files = {path.resolve()}
    for name in [names] if isinstance(names, str) else names:
        if '::' not in name:
            files |= own_files(path.parent / name)
    return files


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_a_leaf_has_at_most_15_lines():
    lengths = {shown(path): code_lines(path) for path in [*DISTILL, *ADAPT, *PLAIN]}
    assert {path: n for path, n in lengths.items() if n > 15} == {}


def test_a_config_is_made_of_at_most_four_files_of_ours():
    files = {shown(path): own_files(path) for path in [*DISTILL, *ADAPT, *PLAIN]}
    assert {path: len(f) for path, f in files.items() if len(f) > 4} == {}


def test_what_is_measured_beside_the_benchmarks_is_short_too_with_few_exceptions():
    leaves = [
        path
        for path in MEASURED.rglob('*.py')
        if path.parent.name != 'links' and not path.stem.startswith('base_')]
    long = {
        f'{path.parent.name}/{path.stem.split("_")[0].removesuffix("-autoencoder")}'
        for path in leaves
        if code_lines(path) > 15}
    assert long == set(LONG)
    # a table's data set, task, pair, teacher, links, KD beside them and variants are a
    # file each
    assert max(len(own_files(path)) for path in leaves) <= 8


@pytest.mark.parametrize('path', DISTILL, ids=lambda path: path.stem)
def test_a_distillation_is_named_after_what_it_holds(path):
    name = parse_name(path)
    assert path.parent.name == name.folder
    pairs = {file.stem for file in own_files(path) if 'pairs' in file.parts}
    assert len(pairs) == 1
    teacher, student = pairs.pop().split('_')[:2]
    # a pair stands for others of its family, where the leaf says which
    assert student.split('-')[0] in path.stem
    assert teacher.split('-')[0] in name.teacher


@pytest.mark.parametrize('path', ADAPT, ids=lambda path: path.stem)
def test_an_adaptation_is_named_after_method_model_and_stream(path):
    folder = path.parent.name.replace('_', '-')
    method = '' if folder == 'source' else f'{folder}_'
    assert re.fullmatch(
        rf'{method}[a-z0-9]+(-[a-z0-9]+)*_[a-z0-9]+(-[a-z0-9]+)*', path.stem)


def test_a_preset_is_named_after_its_method_and_used():
    methods = {path.stem for path in (ROOT / 'mmkd_ext' / 'methods').glob('[a-z]*.py')}
    used = {file for path in DISTILL for file in own_files(path)}
    for path in PRESETS:
        assert re.split('[-+]', path.stem)[0] in methods, path.stem
        assert path.resolve() in used, path.stem


def assigned(path: Path, key: str) -> str:
    (value,) = (
        ast.unparse(node.value)
        for node in source(path).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == key)
    return value


@pytest.mark.parametrize('key', ['custom_hooks', 'randomness'])
def test_every_task_and_every_adaptation_has_the_runtime_of_runtime_py(key):
    runtime = BASE / 'runtime.py'
    for path in [*TASKS, *(BASE / 'adapt').glob('*.py')]:
        if runtime not in own_files(path):
            assert assigned(path, key) == assigned(runtime, key), shown(path)


@pytest.mark.mmseg
@pytest.mark.parametrize(('old', 'key', 'new'), [
    ('links/mmseg/cirkd_comparison', 'adversary', 'links/cirkd-comparison'),
    ('links/mmseg/cirkd_deeplabv3-r101_deeplabv3-r18', 'distiller', 'links/cirkd'),
    ('schedules/cirkd_40k', 'param_scheduler', 'tasks/cityscapes-512x1024_40k-cirkd'),
    ('schedules/dist_40k', 'optim_wrapper', 'tasks/cityscapes-512x1024_40k-dist'),
    ('schedules/segformer_160k', 'optim_wrapper',
     'tasks/cityscapes-1024x1024_160k-segformer'),
])  # fmt: skip
def test_a_part_that_others_may_name_still_works_and_says_what_to_write(old, key, new):
    with pytest.warns(DeprecationWarning, match=r'Please use .*(links|tasks)'):
        part = Config.fromfile(BASE / f'{old}.py')
    assert part[key] == Config.fromfile(BASE / f'{new}.py')[key]


def test_a_checkpoint_that_a_training_here_makes_stands_beside_its_command():
    named = [
        path
        for folder in (CONFIGS, MEASURED)
        for path in folder.rglob('*.py')
        if re.search(r"teacher_ckpt='work_dirs", path.read_text())]
    assert len(named) >= 5
    for path in named:
        script = re.search(r'# made by: python (benchmarks/\w+\.py) ', path.read_text())
        if script:  # it brings weights of others
            assert (ROOT / script[1]).is_file()
            continue
        command = re.search(
            r"# made by: .*?tools/train\.py (?:\\\n +#\s+)?(\S+\.py) \\\n"
            r" +# +--work-dir (\S+)\n +teacher_ckpt='(\S+)/(?:iter|epoch)_\d+\.pth'",
            path.read_text(),
        )
        assert command, shown(path)
        assert (ROOT / command[1]).is_file()
        assert command[2] == command[3]
