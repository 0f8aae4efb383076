"""What a card tells of a corpus turned into a page of Markdown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from numerical.conditions import CONDITIONS
from numerical.corpus.card_facts import RELATIVE, Facts, distribution, mean
from numerical.corpus.distributions import Distribution
from numerical.corpus.sampling import SPLITS
from numerical.corpus.settings import CorpusSettings

MOST_FAILURES = 20  # that are listed one by one

WRITTEN = {
    "fixed": "always {}",
    "uniform": "uniform, {} to {}",
    "log_uniform": "log-uniform, {} to {}",
    "normal": "normal, mean {}, deviation {}",
    "truncated_normal": "normal, mean {}, deviation {}, cut at {} and {}",
}

MEANING = {
    "train": "to train on",
    "validation": "whole conductors, for early stopping",
    "held_out_units": "motor units of conductors that are trained on",
    "held_out_conductors": "whole conductors",
    "held_out_corner": "conductors in a corner of the ranges, for extrapolation",
}


def asked(settings: CorpusSettings, name: str) -> str:
    """Return in words how a plan draws a condition."""
    wanted = distribution(settings, name)
    if wanted is None:
        return "follows from muscle, territory and limb"
    unit = RELATIVE.get(name, CONDITIONS[name].unit)
    return in_words(wanted) + ("" if unit == "1" else f" {unit}")


def in_words(wanted: Distribution) -> str:
    """Return a distribution in words, without its unit."""
    values = [f"{value:.4g}" for value in wanted.parameters]
    return (
        "one of " + ", ".join(values) if wanted.kind == "discrete" else WRITTEN[wanted.kind].format(*values)
    )


def amount(number: int, what: str = "") -> str:
    """Return a count with its thousands apart, of something where that is named."""
    counted = f" {what}{'s' * (number != 1)}" if what else ""
    return f"{number:,}".replace(",", "\u202f") + counted


def size(count: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    for step, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count:.0f} B"


def summary(found: Facts) -> str:
    """Return in a sentence what a corpus is."""
    plan = found.settings
    muaps = plan.contents.muaps != "none"
    what = "motor unit action potentials (MUAPs)" if muaps else "lead fields"
    return (
        f"Simulated surface {what} of the human {plan.limb.replace('_', ' ')}: "
        f"{amount(found.sample_count, 'sample')} of {amount(found.conductors * plan.units, 'motor unit')} in "
        f"{amount(found.conductors, 'conductor')}, made by myomime {found.versions['myomime']}."
    )


def page(found: Facts, licence: str, citation: str, captions: Mapping[str, str]) -> str:
    """Return the card. captions: of the pictures beside it, by file name."""
    parts = [
        f"# {found.name}",
        summary(found),
        unfinished(found),
        "## What was simulated",
        simulated(found),
        picture("examples.png", captions),
        "## Counts",
        counts(found),
        picture("splits.png", captions),
        "## Conditions",
        conditions(found),
        picture("conditions.png", captions),
        "## Arrays",
        arrays(found),
        "## Size and cost",
        cost(found),
        failed(found),
        "## Reading it",
        reading(found),
        "## Making it again",
        again(found),
        "## Licence and citation",
        f"{licence}.\n\n```bibtex\n{citation}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def unfinished(found: Facts) -> str:
    """Return a warning where conductors of the plan are missing."""
    if found.whole:
        return ""
    return (
        f"**Unfinished: {amount(found.conductors)} of {amount(len(found.stored))} conductors are stored.** "
        "Counts, ranges and pictures are those of the stored ones; the others' samples hold fill values, and "
        "their `checksum` is 0."
    )


SCATTER = {"expected": ": a MUAP is the mean over all that they can do", "even": ", evenly"}


def simulated(found: Facts) -> str:
    """Return in words how samples come about."""
    plan, array = found.settings, found.settings.array
    shared = (
        f" {plan.conductors_per_unit} conductors, one after the other, hold the same motor units."
        if plan.conductors_per_unit > 1
        else ""
    )
    corner = ", ".join(
        f"{name} between its quantiles {low:g} and {high:g}"
        for name, (low, high) in plan.split.held_out_corner.items()
    )
    kept = [] if plan.contents.muaps == "none" else [f"MUAPs of all draws ({plan.contents.muaps})"]
    kept += {
        "none": [],
        "mean": ["lead fields along the motor units, the means over their fibres"],
        "exact": [
            "lead fields along the motor units' fibres, from which the MUAP of any draw follows exactly"
        ],
    }[plan.contents.lead_fields]
    return (
        f"A conductor is a {plan.limb.replace('_', ' ')} of its own size, layers, bones and conductivities, "
        "meshed with finite elements and solved, quasi-static and insulated, for the lead fields of "
        f"{array.rows} x {array.columns} disc electrodes on its skin: {array.rows} rows "
        f"{1e3 * array.row_spacing:g} mm apart along the limb, {array.columns} columns evenly around it.\n\n"
        f"In each lie {plan.units} motor units, each in one of "
        f"{len(plan.motor_unit.muscles or plan.muscles)} muscles, its fibres spread over a territory "
        f"({in_words(plan.motor_unit.territory)} of the muscle's area, not kept) and their end-plates and "
        f"ends scattered{SCATTER[plan.motor_unit.scatter]}.{shared} Each unit has {plan.draws} draws of "
        "innervation zone, conduction velocity and fibre length: the samples. A MUAP has "
        f"{plan.samples} values at {plan.sampling_rate:g} Hz from the discharge.\n\n"
        f"Kept are {' and '.join(kept)}. Everything is simulated: there is no noise, no "
        "recruitment, and nothing that was recorded from anybody."
        + (f"\n\nThe held-out corner: {corner}." if corner else "")
    )


def counts(found: Facts) -> str:
    """Return tables of motor units by split and by muscle."""
    plan, total = found.settings, sum(found.split_units.values())
    by_split = table(
        ("split", "motor units", "samples", "share", "what for"),
        (
            (name, amount(n), amount(n * plan.draws), f"{100 * n / max(1, total):.1f} %", MEANING[name])
            for name, n in found.split_units.items()
        ),
    )
    if not found.looked_at:
        return by_split
    units = found.once("motor_unit")
    counted = pd.crosstab(units["muscle"], units["split"]).reindex(columns=list(SPLITS), fill_value=0)
    by_muscle = table(
        ("muscle", "motor units", *SPLITS),
        (
            (str(name), amount(int(row.sum())), *(amount(int(n)) for n in row))
            for name, row in counted.iterrows()
        ),
    )
    return f"{by_split}\n\nBy muscle{among(found)}:\n\n{by_muscle}"


def conditions(found: Facts) -> str:
    """Return the table of conditions: what was asked for and what was found."""
    columns = ("condition", "level", "unit", "asked for", "lowest", "highest", "mean", "what it is")

    def row(name: str) -> Sequence[str]:
        condition, values = CONDITIONS[name], found.samples[name]
        numbers = (values.min(), values.max(), mean(values)) if len(values) else ()
        shown = [f"{number:.5g}" for number in numbers] or ["", "", ""]
        level = condition.level.replace("_", " ")
        wanted = asked(found.settings, name)
        return (f"`{name}`", level, condition.unit, wanted, *shown, condition.description)

    found_in = f"Found{among(found)}, over samples; the mean of `angle` is that of directions.\n\n"
    return found_in + table(columns, (row(name) for name in found.settings.condition_names))


def arrays(found: Facts) -> str:
    """Return the table of arrays."""
    return (
        table(
            ("array", "dimensions", "shape", "type", "unit", "on disk", "what it is"),
            (
                (
                    f"`{array.name}`",
                    ", ".join(array.dims),
                    " x ".join(map(str, array.shape)),
                    array.dtype,
                    array.unit,
                    size(array.bytes),
                    array.description,
                )
                for array in found.arrays
            ),
        )
        + "\n\n`FORMAT.md` in myomime's package `numerical.corpus` says more."
    )


def cost(found: Facts) -> str:
    """Return what the corpus takes on disk and took to compute."""
    rows = [("on disk", size(found.bytes))]
    if found.looked_at:
        each = found.settings.units * found.settings.draws
        hours = found.seconds * found.conductors / 3600
        rows += [
            ("per sample", size(found.bytes / found.sample_count)),
            ("a conductor", f"{found.seconds:.3g} s of one core{among(found)}"),
            ("in all", f"{hours:.3g} core hours, {each / found.seconds:.4g} samples per second of one core"),
        ]
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    rows += [("seed", str(found.settings.seed)), ("versions", versions)]
    return table(("", ""), rows)


def failed(found: Facts) -> str:
    """Return which conductors could not be simulated, and why."""
    if not found.failures:
        return "No conductor failed."
    listed = list(found.failures.items())[:MOST_FAILURES]
    more = len(found.failures) - len(listed)
    return (
        "Could not be simulated:\n\n"
        + table(("conductor", "why"), ((str(conductor), why) for conductor, why in listed))
        + (f"\n\nand {more} more, see the array `failure`." if more else "")
    )


def reading(found: Facts) -> str:
    """Return how to open the corpus with xarray alone."""
    what = "muap" if found.settings.contents.muaps != "none" else "lead_field"
    lines = [
        "import xarray",
        f'corpus = xarray.open_zarr("{found.file}", consolidated=False)',
        f'corpus["{what}"], corpus["conditions"].sel(condition="depth")',
    ]
    stored = "" if found.whole else "\n\nWhich conductors are there says `corpus.checksum != 0`."
    return "```python\n" + "\n".join(lines) + "\n```" + stored


def again(found: Facts) -> str:
    """Return the command that makes the corpus."""
    return (
        f"```\npython scripts/generate_corpus.py settings.yaml --output {found.file}\n```\n\n"
        "in a clone of myomime, with the `settings.yaml` beside this page. On the same machine and versions "
        "it gives the same bits, elsewhere the same within the solver's tolerance; a conductor can be "
        "computed alone."
    )


def among(found: Facts) -> str:
    """Return, in brackets, in how many conductors was looked where not in all that are stored."""
    looked_at = len(found.looked_at)
    return "" if looked_at == found.conductors else f" (in {looked_at} conductors, evenly chosen)"


def picture(name: str, captions: Mapping[str, str]) -> str:
    """Return a picture with its caption, where there is one."""
    return f"![{name.removesuffix('.png')}]({name})\n\n*{captions[name]}*" if name in captions else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""

    def lines() -> Iterator[str]:
        yield " | ".join(head)
        yield " | ".join("---" for _ in head)
        for row in rows:
            yield " | ".join(cell.replace("|", "\\|") for cell in row)

    return "\n".join(f"| {line} |" for line in lines())
