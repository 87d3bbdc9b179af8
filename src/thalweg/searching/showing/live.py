"""What shows a search: a live table in a terminal, plain lines elsewhere, JSON for programs."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from thalweg.data.table import plural
from thalweg.searching.showing.axes import shortened, value_text
from thalweg.searching.showing.display import SearchDisplay, SearchState
from thalweg.searching.spaces.choices import Choice
from thalweg.searching.spaces.domain import Domain
from thalweg.searching.spaces.ranges import Range, Whole
from thalweg.training.display import clock, duration, write_json_line

if TYPE_CHECKING:
    from rich.console import Console

    from thalweg.searching.trial import Trial

_REDRAWS_PER_SECOND = 5
_PLAIN_LINES = 10
_BEST = 5
_NAME, _COLUMN = 23, 10
_OTHER_LINES = 7


def search_display(
    names: Sequence[str], *, always: bool, stream: TextIO | None = None
) -> SearchDisplay:
    """The display that suits a stream: live in a terminal, else silent or a few plain lines.

    Args:
        names: of the hyperparameters that vary.
        always: report in plain lines where the stream is no terminal.
        stream: standard error by default.

    >>> import io
    >>> search_display(["width"], always=True, stream=io.StringIO())
    <...LineSearch object at ...>
    """
    target = sys.stderr if stream is None else stream
    if target.isatty():
        from rich.console import Console

        console = Console(file=target, highlight=False)
        if console.is_terminal and not console.is_dumb_terminal:
            return LiveSearch(console, names)
    return LineSearch(target, names) if always else SearchDisplay()


def settings_text(settings: Mapping[str, Any], names: Sequence[str]) -> str:
    """Hyperparameters in words, those among the names.

    >>> settings_text({"depth": 2, "learning_rate": 0.012, "seed": 3}, ["learning_rate", "depth"])
    'learning_rate 0.012, depth 2'
    """
    return ", ".join(f"{name} {value_text(settings[name])}" for name in names if name in settings)


def domain_text(domain: Domain) -> str:
    """The values that a hyperparameter may take, in words.

    >>> domain_text(Whole(1, 4)), domain_text(Choice("relu", None))
    ('1 to 4', 'relu, none')
    """
    if isinstance(domain, Choice):
        text = ", ".join(map(value_text, domain.values))
    elif isinstance(domain, (Range, Whole)):
        text = f"{value_text(domain.low)} to {value_text(domain.high)}"
        text += ", by ratios" if domain.log else ""
        text += f", steps of {value_text(domain.step)}" if domain.step else ""
    else:
        text = value_text(domain.at(0.5))
    when = (f"{name} {' or '.join(map(value_text, v))}" for name, v in domain.when.items())
    return f"{text} (where {' and '.join(when)})" if domain.when else text


def counts(state: SearchState) -> str:
    """How many trials there are of each kind, in words."""
    words = [f"trial {state.done:,}/{state.total:,}"]
    words += [f"{state.running} running"] if state.running else []
    words += [f"{state.stopped:,} stopped early"] if state.stopped else []
    words += [f"{state.failed:,} failed"] if state.failed else []
    return ", ".join(words)


def speed(rate: float) -> str:
    """Networks a second in words, or a minute where they are few.

    >>> speed(12.34), speed(0.05), speed(0.0)
    ('12.3 networks/s', '3.0 networks/min', '')
    """
    if not rate > 0 or not math.isfinite(rate):
        return ""
    return f"{rate:.3g} networks/s" if rate >= 1 else f"{60 * rate:.1f} networks/min"


def closing(state: SearchState, metric: str, reason: str) -> str:
    """One line on how the search ended."""
    words = [f"tried {plural(state.tried, 'network')} in {duration(state.seconds)}"]
    words += [f"{state.stopped:,} stopped early"] if state.stopped else []
    words += [f"{state.failed:,} failed"] if state.failed else []
    words += [speed(state.rate)] if speed(state.rate) else []
    line = ", ".join(words)
    if state.best:
        line += f"; best {_words(metric)} {_figure(state.best[0].value)}"
    endings = {
        "": "",
        "trials": "",
        "time limit": ": the time is up",
        "interrupted": ": interrupted",
    }
    return line + endings.get(reason, f": {reason}")


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _figure(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


class LineSearch(SearchDisplay):
    """About ten lines in all, for logs.

    Args:
        stream: where they go.
        names: of the hyperparameters that vary.
    """

    def __init__(self, stream: TextIO, names: Sequence[str]) -> None:
        self._stream = stream
        self._names = names
        self._next = 1
        self._shown: int | None = None
        self._metric = ""

    def start(self, total: int, metric: str, maximise: bool) -> None:
        """The search begins."""
        self._metric = metric

    def update(self, state: SearchState) -> None:
        """A line after each tenth of the trials."""
        if state.done < self._next:
            return
        tenth = max(1, state.total // _PLAIN_LINES)
        self._next = (state.done // tenth + 1) * tenth
        line = counts(state)
        if state.best:
            best = state.best[0]
            line += f": best {_words(self._metric)} {_figure(best.value)} in trial {best.number}"
            if best.number != self._shown:
                self._shown = best.number
                line += f" ({settings_text(best.settings, self._names)})"
        self._say(line)

    def finish(self, state: SearchState, reason: str) -> None:
        """The last line."""
        self._say(closing(state, self._metric, reason))

    def _say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class JsonSearch(SearchDisplay):
    """One JSON object a line for each trial that has ended.

    Keys: ``trial``, ``value`` (null where it failed), ``state``, ``reason``, ``epochs``,
    ``seconds``, ``settings``; ``rungs``, values by epoch, where the scheduler looked more than
    once; ``parent`` and ``began`` where it went on from another one.

    Args:
        stream: where the lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def trial(self, trial: Trial) -> None:
        """The trial's line, at once."""
        write_json_line(self._stream, trial_values(trial))


def trial_values(trial: Trial) -> dict[str, Any]:
    """A trial as one JSON line holds it."""
    from thalweg.searching.spaces.values import plain_value

    values = {
        "trial": trial.number,
        "value": trial.value,
        "state": trial.state,
        "reason": trial.reason,
        "epochs": trial.epochs,
        "seconds": round(trial.seconds, 3),
        "settings": plain_value(dict(trial.settings)),
    }
    if len(trial.rungs) > 1:
        values["rungs"] = {str(epoch): value for epoch, value in trial.rungs.items()}
    if trial.changes:
        values |= {"parent": trial.parent, "began": plain_value(dict(trial.began))}
    return values


class LiveSearch(SearchDisplay):
    """A bar, the rate, and the best trials with their settings, redrawn in place.

    The cursor is never hidden and no other state of the terminal is changed, so that nothing is
    left to put right when the process is killed.

    Args:
        console: a rich console on a terminal.
        names: of the hyperparameters that vary.
    """

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._names = names
        self._metric = ""
        self._live: Any = None
        self._drawn = -math.inf

    def start(self, total: int, metric: str, maximise: bool) -> None:
        """Begin to draw."""
        from rich.live import Live

        self._metric = metric
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stderr=True
        )
        self._live.start()
        self._console.show_cursor(True)

    def update(self, state: SearchState) -> None:
        """Draw again, a few times a second at most."""
        now = time.monotonic()
        if self._live is not None and now - self._drawn >= 1 / _REDRAWS_PER_SECOND:
            self._drawn = now
            size = self._console.size
            drawn = picture(state, self._metric, self._names, size.width, size.height)
            self._live.update(drawn, refresh=True)

    def finish(self, state: SearchState, reason: str) -> None:
        """Take the table away and leave one line."""
        self.close()
        self._console.print(closing(state, self._metric, reason), soft_wrap=True)

    def close(self) -> None:
        """Take the table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def picture(state: SearchState, metric: str, names: Sequence[str], width: int, height: int) -> Any:
    """The bar, the figures, and a column for each of the best trials.

    Args:
        state: what is shown.
        metric: the name of the values.
        names: of the hyperparameters, a line each.
        width: columns of the terminal.
        height: its lines; what does not fit is left out.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(no_wrap=True, ratio=1)
    line.add_column(no_wrap=True, justify="right")
    line.add_row(Text(counts(state), overflow="ellipsis"), Text(speed(state.rate)))
    bar = ProgressBar(total=max(state.total, 1), completed=state.done)
    line.add_row(bar, Text(f"{clock(state.seconds_left)} left"))
    fit = max((width - _NAME) // (_COLUMN + 1), 1)
    best = list(state.best)[: min(fit, _BEST)]
    return Group(line, _best_table(best, metric, names, height - _OTHER_LINES)) if best else line


def _best_table(best: Sequence[Trial], metric: str, names: Sequence[str], lines: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, width=_NAME - 1)
    for _ in best:
        table.add_column(no_wrap=True, width=_COLUMN, justify="right")
    rows = [("trial", [str(trial.number) for trial in best])]
    rows += [(_words(metric), [_figure(trial.value) for trial in best])]
    rows += [("epochs", [f"{trial.epochs}" for trial in best])]
    rows += [(name, [_setting(trial, name) for trial in best]) for name in names[: max(lines, 0)]]
    for place, (name, texts) in enumerate(rows):
        style = "bold" if place == 1 else "dim" if place in {0, 2} else ""
        cells = [Text(shortened(text, _COLUMN), style=style) for text in texts]
        table.add_row(Text(shortened(name, _NAME - 1), style="dim"), *cells)
    return table


def _setting(trial: Trial, name: str) -> str:
    return value_text(trial.settings[name]) if name in trial.settings else "·"
