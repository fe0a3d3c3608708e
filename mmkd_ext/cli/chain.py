"""Trains models one after another, each the teacher of a later one.

    mmkd chain CONFIG

CONFIG is a Python file with the steps in their order:

    chain = [
        dict(name='teacher', config='teacher.py'),
        dict(name='assistant', config='assistant.py', teacher='teacher'),
        dict(name='student', config='student.py', teacher='assistant'),
    ]

Each is an ordinary training in WORK_DIR/NAME, as of `mmkd train`. A config is found
from the folder of CONFIG, as a `_base_` is, or is `package::path`. `teacher` is short
for {'model.teacher_ckpt': NAME}, the config option that gets the student's file of that
step; a dict of several is taken too. `options` of a step are those of --cfg-options.

The same command goes on after a stop: what is done is kept while its config, options
and teacher stay the same; what is outdated is moved to WORK_DIR/outdated.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmkd_ext import compat

compat.apply()

from mmkd_ext.checkpoint import latest_checkpoint, student_path  # noqa: E402
from mmkd_ext.cli.options import add_debug  # noqa: E402
from mmkd_ext.connectors.build import compare_arguments  # noqa: E402
from mmkd_ext.engine.launch import (  # noqa: E402
    handle_errors,
    load_config,
    set_default_scope,
)
from mmkd_ext.engine.steps import (  # noqa: E402
    StepFolders,
    as_options,
    fingerprint,
    read_state,
    stop_on_signals,
)
from mmkd_ext.errors import (  # noqa: E402
    CheckpointError,
    ConfigError,
    MMKDError,
    Problem,
    did_you_mean,
    problems_of,
)
from mmkd_ext.files import write_json  # noqa: E402

_KEYS = {'name': True, 'config': True, 'teacher': False, 'options': False}


@dataclass(frozen=True)
class Step:
    """One model of a chain; see the module for what the keys mean."""

    name: str
    config: str
    teacher: str | Mapping[str, str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needs(self) -> dict[str, str]:
        """Config option to the step whose weights it gets."""
        if isinstance(self.teacher, Mapping):
            return dict(self.teacher)
        return {'model.teacher_ckpt': self.teacher} if self.teacher else {}


def read_chain(file: str) -> list[Step]:
    """Reads the steps of a chain.

    Raises:
        ConfigError: Lists what is wrong with them.
    """
    cfg = load_config(file)
    chain = cfg.get('chain')
    if not isinstance(chain, list) or not all(isinstance(s, Mapping) for s in chain):
        found = f'must be a list of dicts, but is {chain!r}.'
        hint = "Write chain = [dict(name='teacher', config='teacher.py'), ...]."
        raise ConfigError.at('chain', found, hint)
    steps: list[Step] = []
    problems: list[Problem] = []
    for i, given in enumerate(chain):
        path, before = f'chain[{i}]', [step.name for step in steps]
        problems += compare_arguments('chain', _KEYS, given, path)
        name, config = str(given.get('name')), str(given.get('config'))
        if Path(name).name != name or name in (*before, 'outdated'):
            found = f'must name a folder of its own, but is {name!r}.'
            problems.append(Problem(f'{path}.name', found))
        if '::' not in config:
            config = os.path.join(os.path.dirname(cfg.filename), config)
        step = Step(name, config, given.get('teacher'), given.get('options') or {})
        for other in step.needs.values():
            if other not in before:
                found = f'there is no step {other!r} before it.'
                hint = f'Before it are {before}.{did_you_mean(str(other), before)}'
                if other in [one.get('name') for one in chain]:
                    hint = 'A step learns from one that stands before it.'
                problems.append(Problem(f'{path}.teacher', found, hint))
        steps.append(step)
    if problems or not steps:
        raise ConfigError.of(problems or [Problem('chain', 'has no steps.')])
    return steps


def check_steps(steps: Sequence[Step]) -> dict[str, str]:
    """Checks the configs of all steps as `mmkd check` does; returns their texts.

    What a step gets from another one is not there yet, and left out.

    Raises:
        ConfigError: Lists the problems of all.
    """
    from mmkd_ext.config.check import check_config

    problems: list[Problem] = []
    texts: dict[str, str] = {}
    for step in steps:
        try:
            cfg = load_config(step.config, dict(step.options))
            cfg.merge_from_dict(dict.fromkeys(step.needs))
            set_default_scope(cfg)
            texts[step.name] = cfg.pretty_text
            found = check_config(cfg, gradients=False).problems
        except MMKDError as error:
            found = problems_of(error, '')
        for one in found:
            where = f'{step.name}: {one.path}'.removesuffix(': ')
            problems.append(Problem(where, one.found, one.hint))
    if problems:
        raise ConfigError.of(problems)
    return texts


def train_steps(
    steps: Sequence[Step], texts: Mapping[str, str], folders: StepFolders, gpus: int
) -> None:
    """Trains what is not trained yet.

    Args:
        steps: The chain.
        texts: What each one's outcome hangs on besides its options and teachers.
        folders: Where they are.
        gpus: Number of processes of each training; 0 starts it without a launcher.

    Raises:
        MMKDError: A training failed.
    """
    weights: dict[str, str] = {}
    marks: dict[str, str] = {}
    for number, step in enumerate(steps, 1):
        taken = [marks[name] for name in step.needs.values()]
        options = as_options(step.options)
        mark = marks[step.name] = fingerprint(texts[step.name], options, taken)
        label = f'[{number}/{len(steps)}] {step.name}'
        folder = folders.root / step.name
        folders.begin_folder(folder, mark)
        done = read_state(folder / 'trained.json').get('mark') == mark
        if not done:
            write_json(folder / 'begun.json', {'mark': mark})
            print(f'{label}: training in {folder}', flush=True)
            needs = {key: weights[name] for key, name in step.needs.items()}
            _train(step, folder, [*options, *as_options(needs)], gpus)
        checkpoint = latest_checkpoint(folder)
        if checkpoint is None:
            raise CheckpointError(f'{label}: its training wrote no checkpoint.')
        write_json(folder / 'trained.json', {'mark': mark})
        own = student_path(checkpoint)
        weights[step.name] = own if os.path.isfile(own) else checkpoint
        print(f'{label}: {"kept" if done else "trained"}, {weights[step.name]}')


def _train(step: Step, folder: Path, options: Sequence[str], gpus: int) -> None:
    """Runs `mmkd train`, which ends when this process does."""
    command = [sys.executable]
    if gpus:
        launch = ('torch.distributed.run', '--standalone', f'--nproc_per_node={gpus}')
        command += ['-m', *launch]
    command += ['-m', 'mmkd_ext.cli', 'train', step.config, '--no-check', '--resume']
    command += ['--work-dir', str(folder)]
    command += ['--launcher', 'pytorch'] if gpus else []
    command += ['--cfg-options', *options] if options else []
    process = subprocess.Popen(command)
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if status:
        how = f'signal {-status}' if status < 0 else f'exit status {status}'
        raise MMKDError(
            f'Step `{step.name}` failed with {how}; its output is above, its log in '
            f'{folder}. The same command goes on from its last checkpoint.'
        )


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='file of the chain')
    parser.add_argument('--work-dir', help='default: work_dirs/<name of the file>')
    parser.add_argument('--gpus', type=int, default=0, help='GPUs of each training')
    parser.add_argument('--fresh', action='store_true', help='train all steps anew')
    add_debug(parser)
    return parser.parse_args(argv)


@handle_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Checks all steps, then trains them; returns the exit status."""
    args = parse_args(argv)
    work_dir = args.work_dir or os.path.join('work_dirs', Path(args.config).stem)
    steps = read_chain(args.config)
    texts = check_steps(steps)
    try:
        with stop_on_signals():
            folders = StepFolders(work_dir, fresh=args.fresh)
            train_steps(steps, texts, folders, args.gpus)
    except KeyboardInterrupt:
        print('\nStopped. The same command goes on from here.', file=sys.stderr)
        return 130
    return 0
