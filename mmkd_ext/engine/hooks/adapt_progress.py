"""Progress of an adaptation, on the terminal and as scalars."""

from __future__ import annotations

import atexit
import logging
import sys
from typing import TYPE_CHECKING, Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmkd_ext.errors import check_integer
from mmkd_ext.registry import HOOKS

if TYPE_CHECKING:
    from mmengine.runner import Runner
    from rich.progress import Progress

__all__ = ['AdaptProgressHook']


@HOOKS.register_module()
class AdaptProgressHook(Hook):
    """Shows the mIoU of each domain while `mmkd_ext.ContinualAdaptLoop` runs.

    On a terminal there is one bar below the log; elsewhere a log line every
    ``interval`` images. Each time, and at the end of a domain, the mIoU of the domain
    in this round so far goes to the backends of the visualizer as
    ``adapt/<domain>/mIoU``, over the images of the stream. Nothing is computed
    twice: the loop has counted the pixels already.

    Args:
        interval: Images between two values.
        bar: Whether to draw the bar; by default, where the output is a terminal.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 50, bar: bool | None = None) -> None:
        check_integer('AdaptProgressHook.interval', interval, ge=1)
        self.interval = interval
        self.bar = sys.stdout.isatty() if bar is None else bar
        self._known: dict[str, float] = {}
        self._stream: Any = None
        self._progress: Progress | None = None
        self._handlers: list[tuple[logging.StreamHandler, Any]] = []

    def before_test(self, runner: Runner) -> None:
        """Starts with an empty bar."""
        self._known, self._stream = {}, None
        if self.bar and is_main_process():
            self._start(runner)

    def after_test(self, runner: Runner) -> None:
        """Removes the bar."""
        self._stop()

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Logs the mIoU of the domain so far, every few images."""
        del data_batch, outputs
        loop = runner.test_loop
        cell = getattr(loop, 'current', None)
        if cell is None:  # the loop of a common test
            return
        if loop.stream is not self._stream:  # the next of several
            self._known, self._stream = {}, loop.stream
        done, length = batch_idx + 1, len(loop.dataloader)
        if done % self.interval == 0 or done == length:
            self._log(runner, cell)
        if self._progress is not None:
            self._draw(loop, cell, done, length)

    def _log(self, runner: Runner, cell: Any) -> None:
        # here, so that `import mmkd_ext.engine` loads no adaptation
        from mmkd_ext.evaluation.adaptation.record import iou_metrics

        loop = runner.test_loop
        names = [*map(str, range(cell.classes))]
        miou = iou_metrics(cell.total, names)['mIoU']
        if miou is not None:
            self._known[cell.domain] = miou
            several = f'{loop.stream.name}/' if len(loop.streams) > 1 else ''
            name = f'adapt/{several}{cell.domain}/mIoU'
            runner.visualizer.add_scalars({name: miou}, step=loop.position.step)
        if self._progress is None:
            runner.logger.info(
                f'round {cell.round}/{loop.rounds} {cell.domain} '
                f'{loop.position.index + 1}/{len(loop.dataloader)}, mIoU so far: '
                f'{self._text()}'
            )

    def _text(self) -> str:
        """Returns the latest mIoU of each domain."""
        return ', '.join(f'{k} {v:.1f}' for k, v in self._known.items()) or '-'

    # ---- the bar ------------------------------------------------------------------

    def _start(self, runner: Runner) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._stop()
        self._progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn('{task.fields[miou]}'),
            console=Console(file=sys.stdout),
            transient=True,
        )
        self._progress.add_task('', total=None, miou='')
        # log lines go through the bar, which moves out of their way
        written = (sys.stdout, sys.stderr)
        self._progress.start()
        for handler in runner.logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in written:
                self._handlers.append((handler, handler.setStream(sys.stdout)))
        # a run that dies never calls `after_test`; the cursor must come back
        atexit.register(self._stop)

    def _draw(self, loop: Any, cell: Any, done: int, length: int) -> None:
        if self._progress is None:
            return
        per_round = sum(len(loop.domains[name]) for name in loop.stream.order)
        self._progress.update(
            self._progress.task_ids[0],
            description=f'round {cell.round}/{loop.rounds} {cell.domain} '
            f'{done}/{length}',
            total=per_round * loop.rounds,
            completed=loop.position.step + 1,
            miou=self._text(),
        )

    def _stop(self) -> None:
        for handler, stream in self._handlers:
            handler.setStream(stream)
        self._handlers = []
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            atexit.unregister(self._stop)
