"""What shows a run: a live display in a terminal, plain lines elsewhere, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from thalweg.training.history import Display, Progress

if TYPE_CHECKING:
    from rich.console import Console

_REDRAWS_PER_SECOND = 10
_PLAIN_LINES = 10
_ROOM = 4


def terminal_display(*, always: bool, stream: TextIO | None = None) -> Display:
    """The display that suits a stream: live in a terminal, else silent or a few plain lines.

    Args:
        always: report in plain lines where the stream is no terminal.
        stream: standard error by default.

    >>> import io
    >>> terminal_display(always=True, stream=io.StringIO())
    <...LineDisplay object at ...>
    """
    target = sys.stderr if stream is None else stream
    if target.isatty():
        from rich.console import Console

        console = Console(file=target, highlight=False)
        if console.is_terminal and not console.is_dumb_terminal:
            return LiveDisplay(console)
    return LineDisplay(target) if always else Display()


def clock(seconds: float) -> str:
    """A time for people, ``?`` where it is not known.

    >>> clock(4.2), clock(62), clock(7325), clock(float("nan"))
    ('0:04', '1:02', '2:02:05', '?')
    """
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """How long something took: one decimal below a minute, then minutes.

    >>> duration(3.14), duration(75)
    ('3.1 s', '1:15')
    """
    return f"{seconds:.1f} s" if seconds < 59.95 else clock(seconds)


def losses(progress: Progress) -> str:
    """The current losses and the best epoch, in words."""
    parts = [f"training loss {_figure(progress.loss)}"]
    if "validation_loss" in progress.latest:
        parts.append(f"validation {_figure(progress.latest['validation_loss'])}")
    if progress.best_epoch:
        parts.append(f"best epoch {progress.best_epoch}")
    return ", ".join(parts)


def _figure(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def closing(progress: Progress, reason: str) -> str:
    """One line on how training ended.

    >>> now = Progress(9, 50, 90, 500, 0.2, {"train_loss": 0.2, "validation_loss": 0.3}, 4, 2.0, 1)
    >>> closing(now, "early stopping")
    'trained 9 epochs in 2.0 s: no improvement since epoch 4, whose weights are kept'
    """
    count = f"{progress.epoch} {progress.unit}{'' if progress.epoch == 1 else 's'}"
    took = f"trained {count} in {duration(progress.seconds)}"
    best = f", weights of epoch {progress.best_epoch} kept" if progress.best_epoch else ""
    endings = {
        "epochs": best,
        "early stopping": f": no improvement since epoch {progress.best_epoch}, whose weights are "
        "kept",
        "callback": f": stopped by a callback{best}",
        "interrupted": f": interrupted{best}",
        "non-finite": ": stopped, as a value was not finite",
    }
    return took + endings.get(reason, f": {reason}")


class LineDisplay(Display):
    """About ten lines in all, for logs.

    Args:
        stream: where they go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = 1

    def epoch(self, progress: Progress) -> None:
        """A line after each tenth of the epochs."""
        if progress.epoch < self._next and progress.epoch < progress.epochs:
            return
        self._say(f"epoch {progress.epoch}/{progress.epochs}: {losses(progress)}")
        tenth = max(1, progress.epochs // _PLAIN_LINES)
        self._next = (progress.epoch // tenth + 1) * tenth

    def finish(self, progress: Progress, reason: str) -> None:
        """The last line."""
        self._say(closing(progress, reason))

    def _say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class JsonDisplay(Display):
    """One JSON object a line for each epoch.

    Keys: ``epoch``, the epoch's numbers (``train_loss``, ``validation_loss``, ``learning_rate``,
    …; null where one is not finite) and ``seconds`` since the start.

    Args:
        stream: where the lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def epoch(self, progress: Progress) -> None:
        """The epoch's line, at once."""
        values: dict[str, Any] = {"epoch": progress.epoch, **progress.latest}
        write_json_line(self._stream, {**values, "seconds": round(progress.seconds, 3)})


def write_json_line(stream: TextIO, values: Any) -> None:
    """One line of strict JSON: what is not finite is written as null."""
    stream.write(json.dumps(_strict(values), ensure_ascii=False, allow_nan=False) + "\n")
    stream.flush()


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class LiveDisplay(Display):
    """A bar and the current figures, redrawn in place.

    The cursor is never hidden and no other state of the terminal is changed, so that nothing is
    left to put right when the process is killed.

    Args:
        console: a rich console on a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Any = None
        self._drawn = -math.inf

    def start(self, epochs: int, title: str) -> None:
        """Begin to draw."""
        from rich.live import Live

        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stderr=True
        )
        self._live.start()
        self._console.show_cursor(True)

    def update(self, progress: Progress) -> None:
        """Draw again, ten times a second at most."""
        now = time.monotonic()
        if self._live is not None and now - self._drawn >= 1 / _REDRAWS_PER_SECOND:
            self._drawn = now
            self._live.update(_picture(progress, self._console.width), refresh=True)

    def finish(self, progress: Progress, reason: str) -> None:
        """Take the bar away and leave one line."""
        self.close()
        self._console.print(closing(progress, reason), soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _picture(progress: Progress, width: int) -> Any:
    """Two lines: the bar between epoch and time left, then the figures.

    The second leaves room for the ``^C`` that a terminal writes behind it.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True, justify="right")
    running = min(progress.epoch + 1, progress.epochs)
    bound = "≤ " if progress.best_epoch else ""  # early stopping may end it sooner
    line.add_row(
        Text(f"{progress.unit} {running}/{progress.epochs}"),
        ProgressBar(total=max(progress.total_steps, 1), completed=progress.step),
        Text(f"{bound}{clock(progress.seconds_left)} left"),
    )
    figures = Text(losses(progress))
    figures.truncate(max(width - _ROOM, 1), overflow="ellipsis")
    return Group(line, figures)
