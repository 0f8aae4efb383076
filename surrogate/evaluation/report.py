"""Findings to a folder: report.html with its pictures beside it, and scores.json; whole or not at all."""

import html
import io
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from numerical.report import STYLE, Plot
from surrogate.evaluation.comparison import Findings
from surrogate.evaluation.features import DESCRIBED
from surrogate.evaluation.measures import MEASURES

SCORES, PAGE = "scores.json", "report.html"
DPI = 100
TABLE = "table { font-size: 0.82em } td.number, th { white-space: nowrap } body { max-width: 68rem }"

TOLD = {
    "errors": "Mean / median / 95th percentile over n samples. nRMSE: root mean square error over all "
    "channels and samples of a MUAP, divided by its maximum minus minimum. Relative L2: norm of "
    "the error divided by the norm of the MUAP. Amplitude: peak to peak of the largest channel. "
    "Mean and median frequency: of the power spectrum of each channel, weighted by its energy. A "
    "generator knows the conditions alone (its latent is zero); morph encodes another draw of the "
    "same motor unit first. The numerical assembly has the conductor's lead fields already: what "
    "is left is the rounding of the store.",
    "deciles": "Mean error of the samples in each tenth of a condition's values.",
    "sweeps": "One condition varies, the others stay: the numerical simulator (black) and the generators. "
    "The lines of nRMSE are means over motor units, the shades reach from the best to the worst.",
    "prior": "Latents drawn from the prior under the conditions of held-out motor units, against MUAPs of "
    "the corpus of as many other held-out motor units; one draw of each unit. Two halves of the "
    "corpus show what chance gives. D: Kolmogorov-Smirnov statistic. Two-sample test: accuracy of "
    "a classifier on MUAPs it has not seen (Lopez-Paz, Oquab 2017), the stronger of a "
    "convolutional network and a network on features, with its 95 % interval; 50 % is chance. "
    "Coverage: part of the corpus's MUAPs with a sampled one within reach of their fifth "
    "neighbour (Naeem et al. 2020). Settled: below 2 % of the peak in the last twentieth of the "
    "window, where the corpus's is below 1 %.",
    "cost": "Median of five batches of 256, on the device and threads named above, and on one core. MB: "
    "of weights in single precision, and the most that decoding a batch holds at once.",
}


def require_free(folder: Path) -> None:
    """Raise ValueError if a folder holds anything but an earlier report."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file; --output is a folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / SCORES).exists():
        raise ValueError(
            f"{folder}: holds other files; --output is a new folder, or one with an earlier report"
        )


def write(folder: Path, findings: Findings) -> None:
    """Write report, pictures and scores to a folder in place of an earlier report.

    All is written aside, then renamed. Raises ValueError if the folder holds anything else.
    """
    require_free(folder)
    aside, before = (folder.with_name(folder.name + ending) for ending in (".partial", ".before"))
    for stale in (aside, before):
        shutil.rmtree(stale, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        for name, plot in findings.figures.items():
            (aside / name).write_bytes(picture(plot.figure))
        (aside / SCORES).write_text(as_json(findings.scores), encoding="utf-8")
        (aside / PAGE).write_text(page(findings), encoding="utf-8")
    except BaseException:
        shutil.rmtree(aside)
        raise
    if folder.exists():
        folder.rename(before)
    aside.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


def picture(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()


def as_json(scores: Mapping[str, Any]) -> str:
    """Return scores as JSON; what is not finite is null."""
    return json.dumps(_plain(scores), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def page(findings: Findings) -> str:
    """Return the report as an HTML page, which shows pictures that lie beside it."""
    scores = findings.scores
    about = scores.get("about", {})
    sections: list[tuple[str, str, Callable[[Mapping[str, Any]], str]]] = [
        ("Errors", "errors", _errors),
        ("Speed and memory", "cost", _cost),
        ("Sweeps", "sweeps", _sweeps),
        ("Prior", "prior", _prior),
        ("Errors by condition", "deciles", lambda _: ""),
    ]
    parts = []
    for title, key, body in sections:
        content = body(scores)
        shown = "".join(
            _figure(name, plot) for name, plot in findings.figures.items() if name.startswith(key)
        )
        if content or shown:
            parts.append(f"<h2>{title}</h2>\n<p>{TOLD[key]}</p>\n{content}{shown}")
    missing = {f"left out: {name}": reason for name, reason in scores.get("left_out", {}).items()}
    listed = "".join(f"<tr><td>{_text(k)}</td><td>{_text(v)}</td></tr>" for k, v in (about | missing).items())
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Generators of MUAPs compared</title>'
        f"<style>{STYLE}{TABLE}</style></head><body>\n<h1>Generators of MUAPs compared</h1>\n"
        f"<table>{listed}</table>\n<p>Every number of this page, and more: {SCORES}.</p>\n"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def error_rows(split: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return a line for each of what is compared: its name, n, and its errors."""
    rows = []
    for name, found in split.items():
        cells = [
            " / ".join(
                _digits(about.factor * found[measure][of]) for of in ("mean", "median", "percentile_95")
            )
            for measure, about in MEASURES.items()
        ]
        rows.append([name, str(found["n"]), *cells])
    return rows


def _errors(scores: Mapping[str, Any]) -> str:
    head = ["", "n", *(f"{about.title} ({about.unit})" for about in MEASURES.values())]
    return "".join(
        f"<h3>{_text(split.replace('_', ' ').capitalize())}</h3>{_table(head, error_rows(found))}"
        for split, found in scores["splits"].items()
    )


def _cost(scores: Mapping[str, Any]) -> str:
    head = ["", "MUAPs per second", "on one core", "parameters (million)", "weights (MB)", "decoding (MB)"]
    keys: list[tuple[str, Callable[[float], float]]] = [
        ("muaps_per_second", float),
        ("muaps_per_second_one_core", float),
        ("parameters", lambda count: count / 1e6),
        ("megabytes", float),
        ("decode_megabytes", float),
    ]
    rows = [
        [name, *("" if cost[key] is None else _digits(of(cost[key])) for key, of in keys)]
        for name, cost in scores["cost"].items()
    ]
    return _table(head, rows) if rows else ""


def _sweeps(scores: Mapping[str, Any]) -> str:
    head = ["condition", "generator", "points", "nRMSE (%), mean", "worst", "relative L2 (%), mean", "worst"]
    rows = []
    for condition, found in scores["sweeps"].items():
        for name, of in found.items():
            if isinstance(of, Mapping):
                cells = [of[key][which] for key in ("nrmse", "relative_l2") for which in ("mean", "worst")]
                shown = ("" if cell is None else _digits(100 * cell) for cell in cells)
                rows.append([condition.replace("_", " "), name, str(of["nrmse"]["n"]), *shown])
    return _table(head, rows) if rows else ""


def _prior(scores: Mapping[str, Any]) -> str:
    head = [
        "",
        "n",
        "two-sample test (%)",
        "by",
        "coverage (%)",
        *(f"D, {t.split(',')[0]}" for t, _ in DESCRIBED.values()),
    ]
    checks = ["", "finite (%)", "settled (%)", "within the corpus's amplitudes (%)", "largest values (µV)",
              "of the corpus (µV)"]  # fmt: skip
    compared, checked = [], []
    for name, found in scores["prior"].items():
        if "two_sample_test" in found:
            test = found["two_sample_test"]["stronger"]
            interval = f"{_percent(test['accuracy'])} ({_percent(test['low'])} to {_percent(test['high'])})"
            statistics = (f"{found['distributions'][one]['statistic']:.3f}" for one in DESCRIBED)
            compared.append(
                [
                    name,
                    str(found["n"]),
                    interval,
                    test["classifier"],
                    _percent(found["coverage"]),
                    *statistics,
                ]
            )
        check = found["checks"]
        ranges = (
            " to ".join(_digits(1e6 * v) for v in check[key])
            for key in ("amplitudes", "amplitudes_of_corpus")
        )
        parts = (check[key] for key in ("finite", "settled_where_the_corpus_is", "within_amplitudes"))
        checked.append([name, *("" if part is None else _percent(part, 2) for part in parts), *ranges])
    return _table(head, compared) + _table(checks, checked) if checked else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    lines = "".join(
        f"<tr><td>{_text(row[0])}</td>"
        + "".join(f'<td class="number">{_text(c)}</td>' for c in row[1:])
        + "</tr>"
        for row in rows
    )
    return f'<div style="overflow-x:auto"><table><tr>{top}</tr>{lines}</table></div>\n'


def _figure(name: str, plot: Plot) -> str:
    words = _text(plot.caption)
    return f'<figure><img src="{name}" alt="{words}"><figcaption>{words}</figcaption></figure>\n'


def _percent(part: float, places: int = 1) -> str:
    return f"{100 * part:.{places}f}"


def _digits(value: float) -> str:
    """Return a number with three digits, and whole thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f") if abs(value) >= 1000 else f"{value:.3g}"


def _text(value: object) -> str:
    return html.escape(str(value))
