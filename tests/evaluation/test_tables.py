from __future__ import annotations

import io

from mmkd_ext.evaluation.tables import markdown, terminal, text_table

TABLE = text_table(['run', 'a|b'], [['x [y]', '1.0'], ['two\nlines', '']], bold=0)


def test_markdown_keeps_a_cell_in_its_place():
    head, rule, first, second = markdown(TABLE).splitlines()
    assert head.replace(' ', '') == r'|run|a\|b|'
    assert rule.strip('|').split('|')[1].endswith(':')
    assert [cell.strip() for cell in first.split('|')] == [
        '', '**x [y]**', '**1.0**', '']
    assert 'two lines' in second


def test_a_table_without_rows_is_its_header():
    assert markdown(text_table(['run', 'mIoU'], [])).startswith('| run')


def test_a_terminal_shows_what_looks_like_markup():
    from rich.console import Console

    console = Console(file=io.StringIO(), width=60)
    console.print(terminal(TABLE, 'A title'))
    shown = console.file.getvalue()
    assert 'x [y]' in shown
    assert 'A title' in shown
