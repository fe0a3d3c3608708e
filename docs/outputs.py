"""Outputs that pages show: run for real, and pasted by this file.

    python docs/outputs.py            writes what has changed

Two marks, each in front of a fenced block. ``<!-- output of: tools/x.py ARGS -->`` is
followed by what that command prints. ``<!-- run -->`` stands before Python that is
executed; if a block marked ``<!-- output -->`` follows, that is what it prints.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
COMMAND = re.compile(
    r'<!-- output of: (?P<command>.+?) -->\n```text\n(?P<old>.*?)```', re.DOTALL
)
SNIPPET = re.compile(
    r'<!-- run -->\n```python\n(?P<code>.*?)```'
    r'(?:\n\n<!-- output -->\n```text\n(?P<old>.*?)```)?',
    re.DOTALL,
)


def pages() -> list[Path]:
    """Returns the pages that may hold marks."""
    return [REPOSITORY / 'README.md', *sorted((REPOSITORY / 'docs').rglob('*.md'))]


def run_command(command: str) -> str:
    """Returns what a command of this repository prints, run in this process."""
    path, *arguments = shlex.split(command)
    argv, folder = sys.argv, Path.cwd()
    os.chdir(REPOSITORY)
    sys.argv = [path, *arguments]
    try:
        with printed() as out, contextlib.suppress(SystemExit):
            runpy.run_path(path, run_name='__main__')
    finally:
        sys.argv = argv
        os.chdir(folder)
    return tidy(out.getvalue())


def run_snippet(code: str) -> str:
    """Returns what a snippet prints; every snippet starts from nothing."""
    with printed() as out:
        program = compile(code, '<snippet>', 'exec', dont_inherit=True)
        exec(program, {'__name__': '__main__'})
    return tidy(out.getvalue())


def printed() -> contextlib.redirect_stdout[io.StringIO]:
    """Catches what is printed."""
    return contextlib.redirect_stdout(io.StringIO())


def tidy(text: str) -> str:
    """Removes spaces at ends of lines and empty lines around."""
    return '\n'.join(line.rstrip() for line in text.splitlines()).strip('\n') + '\n'


def alike(one: str, other: str) -> bool:
    """Whether two outputs differ in digits and line breaks at most.

    Numbers differ in their last digits between processors.
    """
    one, other = (re.sub(r'\d+', '0', re.sub(r'[#─]+', '', t)) for t in (one, other))
    return one.split() == other.split()


def refreshed(text: str) -> str:
    """Returns a page with the outputs of now, where they differ."""
    for pattern in (COMMAND, SNIPPET):
        text = pattern.sub(_with_output, text)
    return text


def _with_output(found: re.Match[str]) -> str:
    is_command = 'command' in found.re.groupindex
    new = run_command(found['command']) if is_command else run_snippet(found['code'])
    if found['old'] is None or alike(found['old'], new):
        return found[0]
    return found[0][: found.start('old') - found.start()] + new + '```'


def main() -> None:
    """Writes the pages whose outputs have changed."""
    for path in pages():
        text = path.read_text(encoding='utf-8')
        new = refreshed(text)
        if new != text:
            path.write_text(new, encoding='utf-8')
            print(f'written: {path.relative_to(REPOSITORY)}')


if __name__ == '__main__':
    sys.path.insert(0, str(REPOSITORY))
    main()
