from __future__ import annotations

import json
import re

import pytest
from made_results import ORDER, make_results, write_results

from mmkd_ext.evaluation.adaptation.figures import run_figures
from mmkd_ext.evaluation.adaptation.report import write_run
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


def test_the_page_needs_no_network(files):
    text = files['.html'].read_text()
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(sources) >= 6
    assert all(source.startswith('data:image/png;base64,') for source in sources)
    assert '://' not in text


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
        for word in ('too few valid pixels', 'Replay buffer',
                     'the highest scores first', 'before and after adaptation',
                     'Distances'):
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


@pytest.mark.parametrize('stop', [0, 5])
def test_an_interrupted_run_is_marked(tmp_path, stop):
    run = run_of(tmp_path / 'run', rounds=2, stop=stop, bare=True)
    for file in write_run(tmp_path, run)[:2]:
        assert f'{stop} of 8 cells are there' in file.read_text()


def test_damaged_thumbnails_are_left_out(tmp_path):
    content = make_results(rounds=1, images=40)
    content.update(timeline=[], prototypes=None)
    content['buffer'][0]['thumbnail'] = 'data:image/png;base64,%%%'
    content['pictures'][0]['truth'] = 'https://example.org/x.png'
    page, *_ = write_run(tmp_path, read_results(write_results(tmp_path, content)))
    assert 'example.org' not in page.read_text()


def test_there_is_a_figure_of_what_is_there(tmp_path):
    assert set(run_figures(run_of(tmp_path / 'a', rounds=2, images=8))) == {
        'stream', 'rounds', 'domains', 'guard', 'prototypes', 'buffer', 'predictions'}
    assert run_figures(run_of(tmp_path / 'b', rounds=1, stop=0, bare=True)) == {}


def test_the_page_of_a_hundred_rounds_says_where_the_others_are(tmp_path):
    page, markdown, table, _ = write_run(tmp_path / 'out', run_of(
        tmp_path, rounds=100, images=2, bare=True))
    assert '20 of 100 rounds are shown; `report.csv` has all' in markdown.read_text()
    assert len(table.read_text().splitlines()) == 1 + 100 * len(ORDER)
    assert page.stat().st_size > 0
