"""Writes what is generated in README.md, the methods' READMEs and docs/methods.

    python docs/method_table.py            writes
    python docs/method_table.py --check    names what is stale, exit status 1

Sources are the metafiles and config headers in configs/distill, the docstrings in
mmkd_ext/methods, and the measured figures in benchmarks/results. So a new method
appears everywhere once its files are there, and no figure is typed by hand.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
TASKS = {'mmseg': 'segmentation', 'mmdet': 'detection'}
HEADER = ('Paper', 'Command', 'Expected', 'Status')
STATUSES = ('unrun', 'smoke', 'measured')
MEASURED = ('demo',)
NOTE = '<!-- Written by docs/method_table.py. -->'
# pages there that docs/detector_table.py and segmentor_table.py write
OTHERS = ('detectors', 'segmentors')


@dataclass
class Config:
    """One config of a method.

    Args:
        path: Its place, from the repository's root.
        title: First line of its docstring.
        header: The fields of its docstring by name.
        results: What its metafile reports: data set and metrics.
    """

    path: Path
    title: str
    header: dict[str, str]
    results: list[dict[str, Any]]


@dataclass
class Method:
    """One file of mmkd_ext/methods and its configs.

    Args:
        name: Its file's name.
        title: What its docstring calls it, as ``CWD``.
        paper: Title of the paper.
        url: Where the paper is.
        losses: For each loss class, the first line of its docstring.
        configs: Its configs by project, ``mmseg`` and ``mmdet``.
    """

    name: str
    title: str
    paper: str = ''
    url: str = ''
    losses: dict[str, str] = field(default_factory=dict)
    configs: dict[str, list[Config]] = field(default_factory=dict)


# ---- reading ----------------------------------------------------------------------


def read_methods(root: Path = REPOSITORY) -> list[Method]:
    """Reads all methods, in the order of their names."""
    files = sorted((root / 'mmkd_ext' / 'methods').glob('[!_]*.py'))
    return [_read_method(path, root) for path in files]


def _read_method(path: Path, root: Path) -> Method:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    title = (ast.get_docstring(tree) or path.stem).split(':')[0]
    method = Method(path.stem, title)
    for node in tree.body:
        registered = isinstance(node, ast.ClassDef) and any(
            'register_module' in ast.unparse(one) for one in node.decorator_list
        )
        if isinstance(node, ast.ClassDef) and registered:
            lines = (ast.get_docstring(node) or '').splitlines()
            method.losses[node.name] = lines[0] if lines else ''
    for project in TASKS:
        folder = root / 'configs' / 'distill' / project / path.stem
        if (folder / 'metafile.yml').is_file():
            _read_metafile(method, project, folder / 'metafile.yml', root)
    return method


def _read_metafile(method: Method, project: str, path: Path, root: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    paper = content['Collections'][0]['Paper']
    method.paper, method.url = paper['Title'], paper['URL']
    method.configs[project] = [
        read_config(Path(model['Config']), root, model.get('Results') or [])
        for model in content['Models']
    ]


def read_config(
    path: Path, root: Path = REPOSITORY, results: Sequence[dict[str, Any]] = ()
) -> Config:
    """Reads the docstring of a config: a title, then ``Paper: ...`` and so on."""
    doc = ast.get_docstring(ast.parse((root / path).read_text(encoding='utf-8'))) or ''
    fields: dict[str, str] = {}
    current = ''
    for line in doc.splitlines()[1:]:
        key, colon, rest = line.partition(':')
        if colon and key in HEADER:
            current, fields[key] = key, rest.strip()
        elif current and line.strip():
            fields[current] += ' ' + line.strip()
    return Config(path, doc.split('\n')[0], fields, list(results))


# ---- writing ----------------------------------------------------------------------


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: str = '') -> str:
    r"""Returns a table in Markdown.

    Args:
        header: Names of the columns.
        rows: As many cells as columns; ``|`` in them is escaped.
        right: For each column, ``r`` to align it to the right.

    Examples:
        >>> print(table(['a', 'b'], [['x|y', '1']], 'lr'))
        | a | b |
        |:--|--:|
        | x\|y | 1 |
    """
    sides = right.ljust(len(header), 'l')
    rule = '|'.join('--:' if side == 'r' else ':--' for side in sides)
    lines = [header, *rows]
    text = [
        '| ' + ' | '.join(cell.replace('|', '\\|') for cell in line) + ' |'
        for line in lines
    ]
    return '\n'.join([text[0], f'|{rule}|', *text[1:]])


def methods_table(methods: Sequence[Method], link: str) -> str:
    """Returns the table of all methods.

    Args:
        methods: The methods.
        link: Where a method's name links to, with ``{}`` for the method.
    """
    rows = []
    for method in methods:
        name = f'[{method.title}]({link.format(method.name)})'
        paper = f'[{method.paper}]({method.url})' if method.url else ''
        what = ' '.join(_markdown(text) for text in method.losses.values() if text)
        counts = [str(len(method.configs.get(project, []))) for project in TASKS]
        rows.append([name, paper, what, *counts, measured(method)])
    counted = [f'{task} configs' for task in TASKS.values()]
    header = ['method', 'paper', 'what it computes', *counted, 'measured here']
    return table(header, rows, 'lllrrr')


def measured(method: Method) -> str:
    """Says how many configs of a method were trained to the end, and how many exist."""
    every = [config for found in method.configs.values() for config in found]
    done = [config for config in every if config.header.get('Status') == 'measured']
    return f'{len(done)} of {len(every)}'


def configs_table(configs: Sequence[Config]) -> str:
    """Returns the table of one folder's configs."""
    rows = [
        [f'`{config.path.name}`', config.header.get('Status', ''), _results(config),
         config.header.get('Expected', '')]
        for config in configs
    ]
    return table(['config', 'status', 'result', 'expected'], rows)


def _results(config: Config) -> str:
    return '; '.join(
        f'{result["Dataset"]}: '
        + ', '.join(f'{key} {value}' for key, value in result['Metrics'].items())
        for result in config.results
    ) or '-'


def _markdown(text: str) -> str:
    return text.replace('``', '`')


def method_page(method: Method) -> str:
    """Returns the page of one method for the docs."""
    parts = [
        NOTE,
        f'# {method.title}',
        '```{eval-rst}\n'
        f'.. automodule:: mmkd_ext.methods.{method.name}\n   :members:\n```',
    ]
    for project, configs in method.configs.items():
        folder = f'../../configs/distill/{project}/{method.name}'
        parts.append(
            f'```{{include}} {folder}/README.md\n:heading-offset: 1\n```'
        )
        if configs:
            path = configs[-1].path
            parts += [
                f'The links of `{path.name}`:',
                f'```{{literalinclude}} ../../{path}\n:language: python\n'
                ':start-at: _base_\n```',
            ]
    return '\n\n'.join(parts) + '\n'


def methods_index(methods: Sequence[Method]) -> str:
    """Returns the page that lists the methods."""
    names = '\n'.join([*(method.name for method in methods), *OTHERS])
    return '\n\n'.join(
        [
            NOTE,
            '# Methods',
            'A method is one file in `mmkd_ext/methods/`. Configs lie in '
            '`configs/distill/<mmseg or mmdet>/<method>/`; *measured here* counts '
            'those that were trained to the end by this project.',
            methods_table(methods, '{}.md'),
            '[](detectors.md) says which method runs on which detector, '
            '[](segmentors.md) on which segmentor.',
            f'```{{toctree}}\n:hidden:\n\n{names}\n```',
        ]
    ) + '\n'


def experiment_text(
    content: Mapping[str, Any], level: int = 3, *, classes: bool = False
) -> str:
    """Returns the results of an experiment as Markdown.

    Args:
        content: What ``benchmarks/repeat.py`` wrote.
        level: Of the heading.
        classes: Whether a table of the IoU of each class follows.
    """
    machine, seeds = content['machine'], ', '.join(map(str, content['seeds']))
    parts = ['#' * level + f' {content["title"]}']
    for name, figures in content['sets'].items():
        lead = figures.get('lead', 'mIoU')
        others = _other_figures(figures, lead)
        rows = []
        for run, about in content['runs'].items():
            values, gain = figures['runs'][run], figures['gain'].get(run)
            more = {**values, **values.get('class AP', {})}
            each = '' if not gain else ', '.join(f'{v:+.2f}' for v in gain['values'])
            rows.append([about['title'], _spread(values[lead]),
                         *(_spread(more[other]) for other in others),
                         str(len(values[lead]['values'])), _gain(gain), each])
        header = ['', f'{lead} on {name}', *others, 'runs', 'gain', 'gain of each seed']
        parts.append(table(header, rows, 'l' + 'r' * (len(header) - 1)))
        parts += _class_text(content, figures) if classes else []
    parts += _cost_text(content)
    parts.append(
        f'Mean ± standard deviation over seeds {seeds}; the gain compares runs of the '
        f'same seed. `{command(content)}`, {content["date"]}, commit '
        f'`{_short(content["commit"])}`, {machine.get("processor", "?")}, '
        f'{machine.get("cores", "?")} cores.'
    )
    return '\n\n'.join(parts)


def command(content: Mapping[str, Any]) -> str:
    """Returns the command that wrote a file of results, as it is called today.

    Older files say ``tools/`` where these commands were then.
    """
    return str(content['command']).replace(' tools/', ' benchmarks/')


def _other_figures(figures: Mapping[str, Any], lead: str) -> list[str]:
    """Returns what else all runs have.

    Of a detection that is AP50 and the AP of classes, of a segmentation the mean
    without the classes that the experiment calls rare.
    """
    if lead != 'AP':
        name = 'without rare classes'
        return [name] if all(name in run for run in figures['runs'].values()) else []
    runs = [{**run, **run.get('class AP', {})} for run in figures['runs'].values()]
    names = dict.fromkeys(['AP50', *runs[0].get('class AP', {})])
    return [name for name in names if all(name in run for run in runs)]


def _class_text(content: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    """Returns the table of the mean IoU of each class."""
    runs = figures['runs']
    names = list(next(iter(runs.values())).get('IoU', {}))
    rare = figures.get('rare', [])
    rows = [
        [about['title'], *(f'{runs[run]["IoU"][name]["mean"]:.1f}' for name in names)]
        for run, about in content['runs'].items()
        if all(name in runs[run].get('IoU', {}) for name in names)
    ]
    header = ['IoU', *(f'*{name}*' if name in rare else name for name in names)]
    return [table(header, rows, 'l' + 'r' * len(names))] if names else []


def _gain(gain: Mapping[str, Any] | None) -> str:
    if not gain:
        return ''
    text = _spread(gain, '+.2f')
    return f'none ({text})' if gain.get('verdict') == 'none' else text


def _cost_text(content: Mapping[str, Any]) -> list[str]:
    """Returns the table of what distilling costs, where it was measured."""
    rows = []
    for about in content['runs'].values():
        step, share = about.get('step'), about.get('kd_share', {}).get('all')
        if not step or not share:
            continue
        ratio = f'{step["to_plain"]:.2f}' if 'to_plain' in step else ''
        rows.append([about['title'], f'{1000 * step["seconds"]:.0f}', ratio,
                     f'{share["first"]:.0f}', f'{share["mean"]:.0f}'])
    if not rows:
        return []
    header = ['', 'ms a step', 'to the student alone', 'KD share at first, %',
              'KD share on average, %']
    return [table(header, rows, 'lrrrr')]


def _short(commit: str) -> str:
    return re.sub(r'\b([0-9a-f]{12})[0-9a-f]+', r'\1', commit)


def _spread(summary: Mapping[str, Any], spec: str = '.2f') -> str:
    mean = format(summary['mean'], spec)
    return mean if summary['std'] is None else f'{mean} ± {summary["std"]:.2f}'


def results_text(root: Path = REPOSITORY) -> str:
    """Returns what README says about measured gains."""
    parts = []
    for name in MEASURED:
        path = root / 'benchmarks' / 'results' / f'{name}.json'
        if path.is_file():
            parts.append(experiment_text(json.loads(path.read_text(encoding='utf-8'))))
        else:
            parts.append(
                f'`benchmarks/results/{name}.json` is not there; `python '
                f'benchmarks/repeat.py benchmarks/experiments/{name}.py` writes it.'
            )
    return '\n\n'.join(parts)


def replace_block(text: str, name: str, content: str) -> str:
    """Replaces what stands between ``<!-- name:begin -->`` and ``<!-- name:end -->``.

    Raises:
        ValueError: The marks are not there, or not once.
    """
    begin, end = f'<!-- {name}:begin -->', f'<!-- {name}:end -->'
    pattern = re.compile(re.escape(begin) + r'.*?' + re.escape(end), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f'The marks {begin!r} and {end!r} must stand there once.')
    return pattern.sub(lambda _: f'{begin}\n{content}\n{end}', text)


def generated(root: Path = REPOSITORY) -> dict[Path, str]:
    """Returns the wanted content of every file that is written, wholly or in part."""
    methods = read_methods(root)
    readme = root / 'README.md'
    text = readme.read_text(encoding='utf-8')
    wanted = {readme: replace_block(text, 'results', results_text(root))}
    pages = root / 'docs' / 'methods'
    wanted[pages / 'index.md'] = methods_index(methods)
    for method in methods:
        wanted[pages / f'{method.name}.md'] = method_page(method)
        for project, configs in method.configs.items():
            path = root / 'configs' / 'distill' / project / method.name / 'README.md'
            old = path.read_text(encoding='utf-8')
            wanted[path] = replace_block(old, 'configs', configs_table(configs))
    return wanted


def stale(root: Path = REPOSITORY) -> list[Path]:
    """Returns the files that are not as they would be written."""
    wanted = generated(root)
    pages = set((root / 'docs' / 'methods').glob('*.md'))
    differing = [
        path for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding='utf-8') != text
    ]
    own = {root / 'docs' / 'methods' / f'{name}.md' for name in OTHERS}
    return differing + sorted(pages - set(wanted) - own)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing')
    args = parser.parse_args(argv)
    wanted = generated()
    for path in stale():
        shown = path.relative_to(REPOSITORY)
        if args.check:
            print(f'stale: {shown} (python docs/method_table.py)', file=sys.stderr)
        elif path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding='utf-8')
            print(f'written: {shown}')
        else:
            path.unlink()
            print(f'removed: {shown}, whose method is gone')
    return int(args.check and bool(stale()))


if __name__ == '__main__':
    sys.exit(main())
