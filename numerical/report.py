"""Checks of the simulator turned into a JSON file and one readable page that needs nothing else."""

import base64
import html
import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Lines differ in their marks, too.
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
VERSION = importlib.metadata.version("myomime")
WIDTH = 7.5  # inches, of a figure that fills the page
STATUS = {True: "passed", False: "failed", None: "not run"}

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 3rem; border-top: 1px solid #ccc; padding-top: 1rem }
table { border-collapse: collapse; width: 100%; font-size: 0.92em }
th, td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid #ddd;
  vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.passed { color: #005a87; font-weight: 600 } .failed { color: #b34700; font-weight: 600 }
.none { color: #555 } figure { margin: 1.5rem 0 } img { width: 100%; height: auto }
figcaption { font-size: 0.92em; color: #444 } a { color: #005a87 }
"""


@dataclass(frozen=True)
class Quantity:
    """A measured number with its unit, and what is asked of it: nothing where both bounds are None."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the number is within its bounds, None where there are none; NaN never is."""
        if self.at_most is None and self.at_least is None:
            return None
        above = self.at_least is None or self.value >= self.at_least
        below = self.at_most is None or self.value <= self.at_most
        return bool(above and below)

    @property
    def target(self) -> str:
        """What is asked of the number, in words; nothing where there are no bounds."""
        if self.met is None:
            return ""
        low, high = ("" if bound is None else _shown(bound) for bound in (self.at_least, self.at_most))
        if low and high:
            return f"{low} to {high} {self.unit}".strip()
        return f"at most {high} {self.unit}".strip() if high else f"at least {low} {self.unit}".strip()


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure and what it shows, which is also what is read to those who cannot see it."""

    figure: Figure
    caption: str


@dataclass(frozen=True, eq=False)
class Check:
    """What was checked, how it was measured, what came out.

    name: short, in letters, digits and dashes. what, measure, source: of the check, of its numbers and of
    their targets, a sentence or two each. data: the numbers behind the plots, anything JSON can hold.
    not_run: the reason, where a check could not or should not run. stopped: the error that ended it.
    """

    name: str
    title: str
    what: str
    measure: str = ""
    source: str = ""
    quantities: Sequence[Quantity] = ()
    plots: Sequence[Plot] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    not_run: str = ""
    stopped: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool | None:
        """Whether every target is met; None for a check that was not run."""
        if self.not_run:
            return None
        return not self.stopped and all(quantity.met is not False for quantity in self.quantities)

    @property
    def summary(self) -> str:
        """The numbers that have targets, or the reason why there are none, in one line."""
        asked = [q for q in self.quantities if q.met is not None]
        return self.not_run or self.stopped or "; ".join(f"{q.name} {_number(q)} ({q.target})" for q in asked)


def machine() -> dict[str, Any]:
    """Return on what the checks ran: cores, threads, device, platform and versions of what they use."""
    names = ("torch", "numpy", "scipy", "pyamg", "scikit-fem")
    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "system": platform.system(),
        "device": "cpu",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }


def as_json(checks: Sequence[Check], settings: Mapping[str, Any]) -> str:
    """Return the report of all checks as JSON: machine, settings, verdict, and every number."""
    content = {
        "version": VERSION,
        "machine": machine(),
        "settings": dict(settings),
        "passed": all(check.passed is not False for check in checks),
        "checks": [_record(check) for check in checks],
    }
    return json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"


def _record(check: Check) -> dict[str, Any]:
    quantities = [
        {"name": q.name, "value": q.value, "unit": q.unit, "at_most": q.at_most, "at_least": q.at_least}
        | {"met": q.met}
        for q in check.quantities
    ]
    return {
        "name": check.name,
        "title": check.title,
        "what": check.what,
        "measure": check.measure,
        "source": check.source,
        "passed": check.passed,
        "not_run": check.not_run,
        "stopped": check.stopped,
        "seconds": round(check.seconds, 2),
        "quantities": quantities,
        "data": check.data,
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: arrays as lists, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


def page(checks: Sequence[Check], settings: Mapping[str, Any]) -> str:
    """Return the report of all checks as one HTML page with its pictures inside."""
    verdicts = [check.passed for check in checks]
    counts = ", ".join(f"{verdicts.count(v)} {word}" for v, word in STATUS.items() if v in verdicts)
    rows = "".join(
        f'<tr><td><a href="#{c.name}">{_text(c.title)}</a></td><td>{_status(c.passed)}</td>'
        f"<td>{_text(c.summary)}</td></tr>"
        for c in checks
    )
    about = ", ".join(f"{key} {value}" for key, value in (machine() | dict(settings)).items() if value != "")
    seconds = sum(check.seconds for check in checks)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Accuracy of the simulator</title>'
        f"<style>{STYLE}</style></head><body>\n<h1>Accuracy of the simulator</h1>\n"
        f"<p>{len(checks)} check{'s' * (len(checks) > 1)}: {counts}.</p>\n"
        f"<table><tr><th>check</th><th>result</th><th>measured (target)</th></tr>{rows}</table>\n"
        f"<p class='none'>Version {_text(VERSION)}, {seconds:.0f} s, {_text(about)}.</p>\n"
        + "".join(_section(check) for check in checks)
        + "</body></html>\n"
    )


def _section(check: Check) -> str:
    parts = [f'<h2 id="{check.name}">{_text(check.title)}</h2>', f"<p>{_text(check.what)}</p>"]
    if check.not_run or check.stopped:
        return "\n".join([*parts, f"<p>{_status(check.passed)}: {_text(check.summary)}.</p>\n"])
    if check.measure:
        parts.append(f"<p><b>Measure.</b> {_text(check.measure)}</p>")
    if check.source:
        parts.append(f"<p><b>Targets.</b> {_text(check.source)}</p>")
    rows = "".join(
        f'<tr><td>{_text(q.name)}</td><td class="number">{_text(_number(q))}</td>'
        f"<td>{_text(q.target) or '–'}</td><td>{_status(q.met) if q.target else ''}</td></tr>"
        for q in check.quantities
    )
    head = "<tr><th>quantity</th><th>measured</th><th>target</th><th>result</th></tr>"
    parts.append(f"<table>{head}{rows}</table>" if rows else "")
    parts += [
        f'<figure><img src="{_embedded(plot.figure)}" alt="{_text(plot.caption)}">'
        f"<figcaption>{_text(plot.caption)}</figcaption></figure>"
        for plot in check.plots
    ]
    return "\n".join([*parts, f"<p class='none'>{check.seconds:.0f} s.</p>\n"])


def _embedded(figure: Figure) -> str:
    """Return a figure as the address of a picture that holds itself."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "myomime"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(content.getvalue()).decode()


def _status(passed: bool | None) -> str:
    return f'<span class="{"none" if passed is None else STATUS[passed]}">{STATUS[passed]}</span>'


def _number(quantity: Quantity) -> str:
    return f"{_shown(quantity.value)} {quantity.unit}".strip()


def _shown(value: float) -> str:
    """Return a number with three digits, and whole thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f") if 1e4 <= abs(value) < 1e9 else f"{value:.3g}"


def _text(value: object) -> str:
    return html.escape(str(value))


def write(folder: Path, checks: Sequence[Check], settings: Mapping[str, Any]) -> None:
    """Write report.json and report.html into a folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"report.json": as_json(checks, settings), "report.html": page(checks, settings)}
    for name, content in contents.items():
        aside = folder / f"{name}.partial"
        aside.write_text(content, encoding="utf-8")
        aside.replace(folder / name)


def new_figure(height: float) -> Figure:
    """Return an empty figure as wide as the page and of a height in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def plain_axes(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Label axes, with units, and take away what needs no ink."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize="medium", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
