"""A report says what was measured and whether it is good enough, in JSON and on a page of its own."""

import base64
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from numerical.report import Check, Plot, Quantity, as_json, new_figure, page, write

GOOD = Quantity("error", 0.4, "%", at_most=1.0)
BAD = Quantity("order", 1.2, at_least=1.8)
TOLD = Quantity("vertices", 147_026)


def check(*quantities, **more):
    return Check("a-check", "A check", "What was checked", quantities=quantities, **more)


@pytest.mark.parametrize(
    ("value", "met"), [(0.9, False), (1.0, True), (2.0, True), (2.1, False), (float("nan"), False)]
)
def test_bounds_are_part_of_the_target(value, met):
    assert Quantity("q", value, "mm", at_least=1, at_most=2).met is met


def test_a_check_passes_when_every_target_is_met():
    assert check(GOOD, TOLD).passed is True
    assert check(GOOD, BAD, TOLD).passed is False
    assert check(GOOD, not_run="needs a package").passed is None
    assert check(GOOD, stopped="no convergence").passed is False


def test_targets_read_as_a_sentence():
    assert [q.target for q in (GOOD, BAD, TOLD)] == ["at most 1 %", "at least 1.8", ""]
    assert Quantity("force", 1.0, "N", at_least=0.5, at_most=2).target == "0.5 to 2 N"


def test_json_holds_every_number_and_no_nan():
    data = {"depth_mm": np.array([1.0, 5.0]), "error": [np.float32(0.25), float("nan")], "cases": np.int64(3)}
    text = as_json([check(GOOD, data=data), check(BAD)], {"seed": 7})

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    content = json.loads(text, parse_constant=refuse)
    assert content["passed"] is False
    assert content["settings"] == {"seed": 7}
    assert content["machine"]["cores"] >= 1
    first = content["checks"][0]
    assert first["data"] == {"depth_mm": [1.0, 5.0], "error": [0.25, None], "cases": 3}
    assert first["quantities"][0]["value"] == 0.4
    assert first["quantities"][0]["at_most"] == 1.0


def test_the_page_needs_nothing_else():
    figure = new_figure(2.0)
    figure.subplots().plot([0, 1], [0, 1])
    text = page([check(GOOD, BAD, plots=[Plot(figure, "A <line>")])], {"seed": 0})
    (picture,) = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="A &lt;line&gt;">', text)
    assert ElementTree.fromstring(base64.b64decode(picture)).tag.endswith("svg")
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "<link" not in text
    assert "<script" not in text


def test_the_page_says_what_failed_in_words():
    text = page([check(GOOD, BAD), check(not_run="needs a package"), check(stopped="residual 0.1")], {})
    assert "3 checks: 2 failed, 1 not run." in text
    assert "at least 1.8" in text
    assert "needs a package" in text
    assert "residual 0.1" in text


def test_files_are_whole(tmp_path):
    write(tmp_path / "new" / "folder", [check(GOOD)], {})
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == ["report.html", "report.json"]
