"""Excitation over time is what its settings or its file say."""

import numpy as np
import pytest
from pydantic import ValidationError

from numerical.excitation import Constant, Table, Trapezoid

TIME = np.linspace(0, 10, 1001)


def test_a_constant_is_the_same_throughout():
    np.testing.assert_array_equal(Constant(level=0.4).at(TIME), np.full(len(TIME), 0.4))


def test_a_trapezoid_goes_through_its_corners():
    shape = Trapezoid(level=0.8, start=1, rise=2, hold=3, fall=2)
    corners = {0: 0, 1: 0, 2: 0.4, 3: 0.8, 5: 0.8, 6: 0.8, 7: 0.4, 8: 0, 10: 0}
    np.testing.assert_allclose(shape.at(np.array(list(corners), float)), list(corners.values()), atol=1e-12)
    # Two triangles and the plateau; the trapezoidal rule on these frames is exact for straight lines.
    assert np.trapezoid(shape.at(TIME), TIME) == pytest.approx(0.8 * (1 + 3 + 1))


def test_without_rise_and_fall_it_is_a_step():
    shape = Trapezoid(level=0.5, start=1, rise=0, hold=2, fall=0)
    np.testing.assert_array_equal(shape.at(np.array([0.99, 1, 2.99, 3])), [0, 0.5, 0.5, 0])
    with pytest.raises(ValidationError, match="at least one must last"):
        Trapezoid(rise=0, hold=0, fall=0)


def test_a_table_is_linear_between_rows_and_held_beyond(tmp_path):
    path = tmp_path / "levels.csv"
    path.write_text("# of a subject\ntime, excitation\n1,0.2\n3, 0.6\n\n4,0\n")
    np.testing.assert_allclose(Table(file=path).at(np.array([0, 1, 2, 3.5, 9])), [0.2, 0.2, 0.4, 0.3, 0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"", "wanted are time,excitation"),
        (b"time,activation\n0,1\n", "time,activation; wanted are time,excitation"),
        (b"time,excitation\n", "no row"),
        (b"time,excitation\n0,0.1\n1,high\n", "row 2 is '1,high'"),
        (b"time,excitation\n0,0.1,3\n", "row 1 is '0,0.1,3'"),
        (b"time,excitation\n0,0.1\n0,0.2\n", "row 2 has time 0 s"),
        (b"time,excitation\nnan,0.1\n", "row 1 has time nan"),
        (b"time,excitation\n0,1.5\n", "row 1 has excitation 1.5"),
        (b"time,excitation\n0,nan\n", "row 1 has excitation nan"),
    ],
)
def test_a_file_that_is_no_excitation_gets_one_line(tmp_path, text, words):
    path = tmp_path / "levels.csv"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(ValueError, match=r"levels\.csv") as error:
        Table(file=path).at(TIME)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
