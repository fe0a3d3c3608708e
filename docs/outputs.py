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
    out = io.StringIO()
    before = sys.argv, Path.cwd()
    os.chdir(REPOSITORY)
    sys.argv = [path, *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            runpy.run_path(path, run_name='__main__')
    finally:
        sys.argv = before[0]
        os.chdir(before[1])
    return tidy(out.getvalue())


def run_snippet(code: str) -> str:
    """Returns what a snippet prints; every snippet starts from nothing."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        program = compile(code, '<snippet>', 'exec', dont_inherit=True)
        exec(program, {'__name__': '__main__'})
    return tidy(out.getvalue())


def tidy(text: str) -> str:
    """Removes spaces at ends of lines and empty lines around."""
    return '\n'.join(line.rstrip() for line in text.splitlines()).strip('\n') + '\n'


def alike(one: str, other: str) -> bool:
    """Whether two outputs differ in digits and line breaks at most.

    Numbers differ in their last digits between processors.
    """
    return _shape(one) == _shape(other)


def _shape(text: str) -> list[str]:
    return re.sub(r'\d+', '0', re.sub(r'[#─]+', '', text)).split()


def refreshed(text: str) -> str:
    """Returns a page with the outputs of now, where they differ."""

    def command(found: re.Match[str]) -> str:
        return _paste(found, run_command(found['command']))

    def snippet(found: re.Match[str]) -> str:
        printed = run_snippet(found['code'])
        return found[0] if found['old'] is None else _paste(found, printed)

    return SNIPPET.sub(snippet, COMMAND.sub(command, text))


def _paste(found: re.Match[str], new: str) -> str:
    old = found['old']
    if alike(old, new):
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
