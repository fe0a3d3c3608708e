from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mmkd_ext.evaluation.pictures import png
from mmkd_ext.evaluation.report import (
    Gallery,
    Heading,
    Legend,
    Note,
    Picture,
    write_report,
)
from mmkd_ext.evaluation.tables import Table

pytest.importorskip('PIL')
PARTS = [
    Heading('Curves & <more>'),
    Note('Read `a < b` here.'),
    Table(['run', 'mIoU'], [['student', '1.0']]),
    Picture('curve', png(np.zeros((2, 2, 3), np.uint8)), 'a "curve"'),
    Gallery(['input'], [('frame 1', [
        Picture('frame-1', png(np.ones((2, 2, 3), np.uint8)), 'input')])]),
    Legend([('road', (128, 64, 128))]),
]


class Balance(HTMLParser):
    """Checks that every element that is opened is closed, in order."""

    VOID = frozenset({'meta', 'img', 'br'})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [v for k, v in attrs if k in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def written(tmp_path):
    return write_report(tmp_path, 'A report', PARTS)


def test_the_page_is_well_formed_and_needs_nothing_outside_itself(written):
    text = written[0].read_text()
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    assert len(balance.sources) == 2
    assert all(s.startswith('data:image/png;base64,') for s in balance.sources)
    assert 'http' not in text


def test_text_is_escaped_and_code_is_set_as_code(written):
    text = written[0].read_text()
    assert 'Curves &amp; &lt;more&gt;' in text
    assert '<code>a &lt; b</code>' in text


def test_a_note_may_stress_and_link_to_files_beside_the_page(tmp_path):
    note = Note('**Not** <b>, [run 1](run/a.html), `**x** [y](z)`, [out](http://a.b)')
    text = write_report(tmp_path, 'A report', [note])[0].read_text()
    assert '<p><strong>Not</strong> &lt;b&gt;, <a href="run/a.html">run 1</a>, ' in text
    assert '<code>**x** [y](z)</code>, [out](http://a.b)</p>' in text


def test_every_picture_of_the_markdown_lies_beside_it(written):
    page, markdown = written
    links = re.findall(r'\]\((.+?)\)', markdown.read_text())
    assert len(links) == 2
    for link in links:
        assert (page.parent / link).read_bytes().startswith(b'\x89PNG')


def test_page_and_markdown_tell_the_same(written):
    for file in written:
        text = file.read_text()
        for word in ('A report', 'student', '1.0', 'frame 1', 'road'):
            assert word in text
