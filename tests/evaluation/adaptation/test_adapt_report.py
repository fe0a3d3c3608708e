from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_results import ORDER, make_results, write_results

from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.adaptation import figures
from mmkd_ext.evaluation.adaptation.report import (
    write_comparison,
    write_run,
)
from mmkd_ext.evaluation.adaptation.results import read_results


def run_of(folder, *args, **settings):
    return read_results(write_results(folder, make_results(*args, **settings)))


@pytest.fixture(scope='module')
def dose(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp('run'), rounds=2, seed=7, images=40,
                  reset='guarded', lr=0.0003)


@pytest.fixture(scope='module')
def files(dose, tmp_path_factory):
    found = write_run(tmp_path_factory.mktemp('out'), dose)
    return {path.suffix: path for path in found}


class Page(HTMLParser):
    """Checks that elements are closed in order; notes what the page refers to."""

    VOID = frozenset({'meta', 'img', 'br', 'path', 'use', 'image', 'stop'})

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.note(attrs)

    def handle_startendtag(self, tag, attrs):
        self.note(attrs)

    def note(self, attrs):
        self.sources += [v for k, v in attrs if k in ('src', 'href', 'xlink:href')]
        self.ids += [v for k, v in attrs if k == 'id']

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_no_network(files):
    text = files['.html'].read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.sources
    assert all(s.startswith(('data:image/png;base64,', '#')) for s in page.sources)
    assert 'http' not in text
    assert 'url(#' in text
    used = set(re.findall(r'(?:url\(#|href="#)([\w-]+)', text))
    assert used <= set(page.ids)


def test_figures_take_the_ink_of_the_page_and_the_page_knows_dark(files):
    text = files['.html'].read_text()
    assert 'prefers-color-scheme: dark' in text
    assert 'currentColor' in text
    assert figures._INK not in text


def test_every_output_says_how_it_was_run(files):
    for name in ('.html', '.md', '.csv', '.json'):
        text = files[name].read_text()
        for word in ('guarded', '0.0003', 'night', 'flip', 'DoSe'):
            assert word in text, (name, word)
    settings = json.loads(files['.json'].read_text())['settings']
    assert settings['seed'] == 7
    assert settings['order'] == list(ORDER)


def test_page_and_markdown_have_buffer_pictures_and_actions(files):
    for name in ('.html', '.md'):
        text = files[name].read_text()
        for word in ('too few valid pixels', 'Replay buffer', '0.500, step 301',
                     'round 2, snow, image 0', 'source model', 'Distances'):
            assert word in text, (name, word)
    for link in re.findall(r'\]\((.+?)\)', files['.md'].read_text()):
        assert (files['.md'].parent / link).read_bytes().startswith(b'\x89PNG')


def test_a_bare_run_gives_a_report_without_the_empty_sections(tmp_path):
    content = make_results('Source', rounds=1)
    content = {key: content[key] for key in ('schema', 'settings', 'classes', 'cells')}
    page, *_ = write_run(tmp_path, read_results(write_results(tmp_path, content)))
    text = page.read_text()
    assert 'Neither the guard nor the loop had to step in.' in text
    assert 'Replay buffer' not in text
    assert 'prototypes' not in text


def test_an_interrupted_run_says_so(tmp_path):
    run = run_of(tmp_path / 'run', rounds=2, stop=5, bare=True)
    page, markdown, *_ = write_run(tmp_path, run)
    for file in (page, markdown):
        assert '5 of 8 cells are there' in file.read_text()
        assert 'missing' in file.read_text()


def test_a_run_before_its_first_cell_can_be_reported(tmp_path):
    run = run_of(tmp_path / 'run', rounds=2, stop=0)
    page, *_ = write_run(tmp_path, run)
    assert '0 of 8 cells are there' in page.read_text()


def test_damaged_thumbnails_are_left_out(tmp_path):
    content = make_results(rounds=1, images=40)
    content.update(timeline=[], prototypes=None)
    content['buffer'][0]['thumbnail'] = 'data:image/png;base64,%%%'
    content['pictures'][0]['truth'] = 'https://example.org/x.png'
    page, *_ = write_run(tmp_path, read_results(write_results(tmp_path, content)))
    assert 'example.org' not in page.read_text()


def test_a_comparison_has_a_page_and_one_for_each_run(tmp_path):
    runs = [run_of(tmp_path / 's', 'Source', rounds=2, bare=True),
            *(run_of(tmp_path / str(k), rounds=2, seed=k, bare=True) for k in (0, 1))]
    found = write_comparison(tmp_path / 'out', runs)
    page = found[0].read_text()
    assert '± ' in page
    assert 'Gains are over <code>Source</code>' in page
    for name in ('source-seed0', 'dose-seed0', 'dose-seed1'):
        assert (tmp_path / 'out' / name / 'report.html').is_file()
        assert f'href="{name}/report.html"' in page
    content = json.loads(found[3].read_text())
    assert content['comparison']['runs']['DoSe']['seeds'] == [0, 1]
    assert len(content['runs']) == 3


def test_a_comparison_needs_different_runs(dose):
    with pytest.raises(DataError, match='needs two runs'):
        write_comparison('x', [dose])
    with pytest.raises(DataError, match='given twice'):
        write_comparison('x', [dose, dose])


# ---- figures ------------------------------------------------------------------------


def test_points_of_a_plane_are_found_from_their_distances():
    points = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [-1.0, 2.0]])
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    found, kept = figures.classical_mds(distances)
    again = np.linalg.norm(found[:, None] - found[None], axis=-1)
    np.testing.assert_allclose(again, distances, atol=1e-9)
    assert kept == pytest.approx(1.0)


def test_a_tetrahedron_does_not_fit_into_a_plane():
    # three equal eigenvalues, of which the plane keeps two
    _, kept = figures.classical_mds(1.0 - np.eye(4))
    assert kept == pytest.approx(2 / 3)


@pytest.mark.parametrize('count', [1, 2])
def test_one_or_two_prototypes_have_a_map(count, tmp_path):
    names = list(ORDER[:count])
    run = run_of(tmp_path, order=names, rounds=1, images=40)
    assert figures.prototype_figure(run).data.startswith(b'\x89PNG')


def test_a_line_stops_where_a_cell_is_missing(tmp_path):
    from matplotlib.figure import Figure

    axis = Figure().subplots()
    figures._line(axis, [1, 2, 3], [50.0, None, 0.0])
    assert np.isnan(axis.lines[0].get_ydata()[1])


def test_there_is_no_figure_of_nothing(tmp_path):
    run = run_of(tmp_path, rounds=1, stop=0)
    for draw in (figures.stream_figure, figures.round_figure, figures.domain_figure,
                 figures.guard_figure):
        assert draw(run) is None


def test_of_a_hundred_rounds_there_is_a_line_a_domain(tmp_path):
    few = figures.stream_figure(run_of(tmp_path / 'few', rounds=2, images=8))
    many = figures.stream_figure(run_of(tmp_path / 'many', rounds=100, images=8))
    assert 'at each point' in few.caption
    assert 'end of each visit' in many.caption
    # axes and legend are alike: 8 visits and 2 rounds, or 4 domains and not 400 visits
    lines = [picture.svg.count('stroke-linecap: square') for picture in (few, many)]
    assert lines[1] <= lines[0] - 2
    assert many.data.startswith(b'\x89PNG')


def test_the_page_of_a_hundred_rounds_says_where_the_others_are(tmp_path):
    page, markdown, table, _ = write_run(tmp_path / 'out', run_of(
        tmp_path, rounds=100, images=2))
    assert '20 of 100 rounds are shown; `report.csv` has all' in markdown.read_text()
    assert len(table.read_text().splitlines()) == 1 + 100 * len(ORDER)
    assert page.stat().st_size > 0
