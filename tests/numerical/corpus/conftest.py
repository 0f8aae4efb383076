"""A tiny plan, simulated once: real conductors, coarsely meshed, a second each."""

import shutil
from pathlib import Path

import pytest

from numerical.corpus import CorpusSettings, prepare_store, write_conductor
from numerical.electrodes import ArraySettings
from tests.numerical.conftest import COARSE

TINY = CorpusSettings.model_validate(
    {
        "conductors": 2,
        "units": 3,
        "draws": 2,
        "seed": 3,
        "motor_unit": {"number_of_fibres": {"log_uniform": [5, 40]}, "scatter": "even"},
        "contents": {"lead_fields": "exact"},
        "array": ArraySettings(rows=2, columns=4),
        "resolution": COARSE,
    }
)


def make(path: Path, settings: CorpusSettings) -> Path:
    """Store all conductors of a plan; return the path."""
    for conductor in prepare_store(path, settings):
        write_conductor(path, settings, conductor)
    return path


@pytest.fixture(scope="package")
def stored(tmp_path_factory):
    """A complete tiny corpus on disk; not to be changed."""
    return make(tmp_path_factory.mktemp("corpus") / "corpus.zarr", TINY)


@pytest.fixture
def copied(stored, tmp_path):
    """A copy of the tiny corpus."""
    return shutil.copytree(stored, tmp_path / "corpus.zarr")
