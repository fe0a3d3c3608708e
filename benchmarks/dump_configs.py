"""Do the configs of two checkouts mean the same?

    python benchmarks/dump_configs.py OLD NEW      two checkouts, or files of --out
    python benchmarks/dump_configs.py . --out configs.json

Reads every config with its bases, as a run would, and compares what the Runner is
given. Variables that a config only uses itself are no difference, and a file that was
renamed is found by what it holds.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

FOLDERS = ('configs', 'benchmarks/configs', 'projects/*/configs')
# what mmengine reads beside the arguments of the Runner
MORE_KEYS = {'auto_scale_lr', 'compile', 'custom_imports', 'find_unused_parameters'}
MORE_KEYS |= {'model_wrapper_cfg', 'sync_bn'}
# built one after another, so the order decides which random numbers each gets
ORDERED = ('.links', '.connectors')


def merged_configs(checkout: Path) -> dict[str, dict[str, Any]]:
    """Returns the merged dict of every config of a checkout, by its path in it.

    A path of another config in it is shortened to that file's name, because a renamed
    folder changes nothing for the run.
    """
    from mmengine.config import Config

    files = sorted(
        path for name in FOLDERS for path in checkout.glob(f'{name}/**/*.py')
    )
    names = {str(path.relative_to(checkout)) for path in files}
    merged = {}
    for path in files:
        config = Config.fromfile(path, import_custom_modules=False).to_dict()
        text = json.dumps(config, default=repr)
        merged[str(path.relative_to(checkout))] = _shorten(json.loads(text), names)
    return merged


def _shorten(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _shorten(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_shorten(item, names) for item in value]
    return Path(value).name if isinstance(value, str) and value in names else value


def read(source: str) -> dict[str, dict[str, Any]]:
    """Reads a checkout, or a file that an earlier call wrote."""
    path = Path(source)
    if path.is_dir():
        return merged_configs(path.resolve())
    return dict(json.loads(path.read_text()))


def run_keys() -> set[str]:
    """Returns the keys of a config that the Runner is given."""
    from mmengine.runner import Runner

    return set(inspect.signature(Runner.__init__).parameters) | MORE_KEYS


def differences(old: Any, new: Any, where: str = '') -> list[str]:
    """Returns the paths at which two values differ, with both."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        same_keys = old.keys() == new.keys() and where.endswith(ORDERED)
        if same_keys and list(old) != list(new):
            found.append(f'{where}: in the order {list(old)} -> {list(new)}')
        for key in sorted({*old, *new}):
            path = f'{where}.{key}' if where else key
            found += differences(old.get(key, '<none>'), new.get(key, '<none>'), path)
        return found
    return [] if old == new else [f'{where}: {old!r} -> {new!r}']


def compare(
    old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]], keys: set[str]
) -> tuple[list[str], dict[str, str]]:
    """Compares what runs of two sets of configs are given.

    Returns:
        What differs, a line each; and the new path of each file that was renamed.
    """
    old, new = (
        {
            path: {key: config[key] for key in config if key in keys}
            for path, config in configs.items()
        }
        for configs in (old, new)
    )
    lines: list[str] = []
    renamed: dict[str, str] = {}
    for path, config in old.items():
        if path in new:
            lines += [f'{path}: {line}' for line in differences(config, new[path])]
            continue
        same = [other for other in new if other not in old and new[other] == config]
        if same:
            renamed[path] = same[0]
        elif not path.startswith('configs/_base_/'):  # a part, which others may hold
            lines.append(f'{path}: is gone')
    return lines, renamed


def main(argv: list[str] | None = None) -> int:
    """Returns 0 if the configs mean the same, else 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('old', help='checkout or file')
    parser.add_argument('new', nargs='?', help='checkout or file')
    parser.add_argument('--out', help='write the merged configs of OLD here')
    args = parser.parse_args(argv)
    warnings.simplefilter('ignore')
    # data sets of one machine are no part of what a config says
    for name in ('BCCD_ROOT', 'CAMVID_ROOT'):
        os.environ.pop(name, None)
    old = read(args.old)
    if args.out:
        Path(args.out).write_text(json.dumps(old, indent=1))
    if not args.new:
        print(f'{len(old)} configs')
        return 0
    new = read(args.new)
    lines, renamed = compare(old, new, run_keys())
    for path, other in renamed.items():
        print(f'{path} is now {other}')
    print('\n'.join(lines))
    print(f'{len(old)} configs before, {len(new)} now, {len(lines)} differences')
    return int(bool(lines))


if __name__ == '__main__':
    sys.exit(main())
