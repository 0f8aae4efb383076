"""What the README shows must run as it stands."""

import re
from pathlib import Path

import numpy as np

from numerical.corpus import CorpusSettings
from numerical.settings_file import read_yaml, validated

README = (Path(__file__).parents[1] / "README.md").read_text()


def shown(part: str) -> str:
    """The one block of Python in the README that holds a part."""
    blocks = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if part in block]
    assert len(blocks) == 1
    return blocks[0]


def test_the_readme_computes_a_muap_in_fifteen_lines():
    code = shown("place_fibres")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    potential = names["potential"].numpy()
    assert potential.shape == (128, 96)
    # 100 fibres of a superficial muscle give tens of microvolts, loudest on the volar side (angle 0), and
    # nothing is left of them when the window ends.
    peak = np.ptp(potential, axis=1)
    assert 1e-5 < peak.max() < 1e-3
    column = int(peak.argmax()) % 32
    assert min(column, 32 - column) <= 5
    assert np.abs(potential[:, -1]).max() < 0.02 * np.abs(potential).max()


def test_the_readme_samples_the_shipped_generator():
    names: dict = {}
    exec(compile(shown("surrogate.load"), "README.md", "exec"), names)
    shapes = {"muap": (2,), "drawn": (1, 5), "moved": (1,), "way": (1, 9)}
    for name, batch in shapes.items():
        assert names[name].shape == (*batch, 10, 32, 96)
        assert np.isfinite(names[name]).all()
    assert names["elsewhere"].shape == (1, 2, 96)


def test_the_readme_s_corpus_settings_can_be_used(tmp_path):
    [block] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "settings.yaml").write_text(block)
    settings = validated(CorpusSettings, read_yaml(tmp_path / "settings.yaml"), {}, "README.md")
    assert settings.draws == 16
    assert settings.motor_unit.muscles == ("FCR", "FCU", "ECRB", "ECU")
