"""A corpus turned into its card: a page, metadata for catalogues, pictures and settings, inside the store."""

import io
import json
from datetime import UTC, datetime

import zarr
from matplotlib.figure import Figure
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from numerical.corpus.card_croissant import croissant
from numerical.corpus.card_facts import Facts, facts
from numerical.corpus.card_page import page
from numerical.corpus.card_plots import pictures
from numerical.corpus.store import Location, address
from numerical.settings_file import to_yaml

CARD = "card"  # a group of the store without arrays, so that what reads Zarr passes over it


def write_card(
    location: Location,
    *,
    licence: str = "CC-BY-4.0",
    creator: str = "The myomime developers",
    url: str = "README.md",
    citation: str = "",
) -> str:
    """Write the card of a corpus, finished or not, into its store, in place of an earlier one.

    licence: of the data, its name at spdx.org or its address. creator: who made the corpus. url: its page on
    the web. citation: how to cite it, a BibTeX entry if not given. Returns where the page lies.

    Raises ValueError where there is no corpus, OSError where the store cannot be written.
    """
    found = facts(location)
    citation = citation or cited(found, creator)
    shown = pictures(found)
    captions = {name: caption for name, (caption, _) in shown.items()}
    about = croissant(found, licence=licence, creator=creator, url=url, citation=citation)
    files = {name: _png(figure) for name, (_, figure) in shown.items()}
    files["settings.yaml"] = to_yaml(found.settings).encode()
    files["croissant.json"] = (json.dumps(about, indent=1, allow_nan=False) + "\n").encode()
    files["README.md"] = page(found, licence, citation, captions).encode()
    group = zarr.open_group(address(location), mode="r+")
    folder = group.require_group(CARD)
    for name, content in files.items():
        sync((folder.store_path / name).set(default_buffer_prototype().buffer.from_bytes(content)))
    return f"{str(location).rstrip('/')}/{CARD}/README.md"


def cited(found: Facts, creator: str) -> str:
    """Return a BibTeX entry of a corpus."""
    year = datetime.now(UTC).year
    title = f"{found.name}: simulated motor units of the {found.settings.limb.replace('_', ' ')}"
    note = f"Version {found.version}, made by myomime {found.versions['myomime']}"
    entries = {"author": f"{{{creator}}}", "title": title, "year": str(year), "note": note}
    listed = ",\n".join(f"  {name} = {{{value}}}" for name, value in entries.items())
    return f"@misc{{{found.name},\n{listed}\n}}"


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
