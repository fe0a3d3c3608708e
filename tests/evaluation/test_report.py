from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from mmkd_ext.evaluation.figures import bars, image_grid, lines
from mmkd_ext.evaluation.report import write_report
from mmkd_ext.evaluation.tables import text_table

TEMPLATE = """# {{ title }}

Read `a < b` here. {{ text }}

{{ table | markdown }}

{{ figure('curve', 'a "curve"') }}

{{ figure('gone', 'no such figure') }}
"""


class Page(HTMLParser):
    """Checks that every element that is opened is closed; notes what is referred to."""

    VOID = frozenset({'meta', 'img', 'br'})

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [v for k, v in attrs if k in ('src', 'href')]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('report')
    (folder / 'toy.md.j2').write_text(TEMPLATE)
    curve = {'x': ([1, 2], [3.0, None])}
    return write_report(
        folder / 'out', folder / 'toy.md.j2', title='A & B', text='<script>',
        table=text_table(['run', 'mIoU'], [['student', '1.0']]),
        figures={'curve': lines({'loss': curve}, xlabel='iteration')})


def test_the_page_is_well_formed_escaped_and_needs_no_other_file(files):
    text = files[0].read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.sources
    assert all(s.startswith('data:image/png;base64,') for s in page.sources)
    assert '://' not in text
    assert '<script>' not in text
    assert '<code>a &lt; b</code>' in text
    assert '<title>A &amp; B</title>' in text
    assert re.search(r'<td[^>]*>student</td>', text)
    assert 'prefers-color-scheme: dark' in text


def test_the_markdown_says_the_same_and_its_pictures_are_there(files):
    text = files[1].read_text()
    assert text.startswith('# A & B\n')
    (picture,) = re.findall(r'\]\((.+?)\)', text)
    assert (files[1].parent / picture).read_bytes().startswith(b'\x89PNG')


def test_gaps_are_drawn():
    assert bars(['a', 'b'], {'x': [1.0, None]}, label='%').startswith(b'\x89PNG')
    assert image_grid(['a'], {'row': [(None, '')]}).startswith(b'\x89PNG')
