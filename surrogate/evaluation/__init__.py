"""Generators to scores and reports: how far their MUAPs are from the numerical simulator's."""

from surrogate.evaluation.cost import muaps_per_second
from surrogate.evaluation.measures import nrmse
from surrogate.evaluation.pictures import example_figure
from surrogate.evaluation.scores import HELD_OUT, evaluate, held_out_splits, require_match

__all__ = [
    "HELD_OUT",
    "evaluate",
    "example_figure",
    "held_out_splits",
    "muaps_per_second",
    "nrmse",
    "require_match",
]
