"""Explore a generator or a recording in the browser: `python scripts/view.py [RECORDING | CHECKPOINT]`."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tyro

from surrogate.extras import needed
from surrogate.recording import folder_of, open_recording


@dataclass(frozen=True)
class Options:
    """Explore a generator or a recording on a page that this machine alone serves.

    Of a generator: drag its conditions and see the MUAP and its place in the limb change, compare it with the
    simulator. Of a recording: play it with joints, activations, discharges and maps, listen to a channel.
    """

    shown: tyro.conf.Positional[str] = "forearm"
    """Folder that scripts/simulate.py wrote, or the recording.zarr in it; or a generator, by the name of a
    shipped one or its path."""
    port: int = 0
    """Of the server; 0 for any that is free."""
    browser: bool = True
    """Open the page in the browser."""


def main(options: Options) -> None:
    title, page = page_of(options.shown)
    from surrogate.explorer.server import server

    serving = server(page, f"myomime: {title}", options.port)
    print(f"http://localhost:{serving.port} (Ctrl-C ends it)", flush=True)
    if options.browser:
        serving.show("/")
    try:
        serving.io_loop.start()
    except KeyboardInterrupt:
        print()


def page_of(shown: str) -> tuple[str, Callable]:
    """Return the name of a recording or a generator, and what makes its page."""
    path, folder = Path(shown), folder_of(shown)
    if folder != path or path.is_dir():
        name, opened = folder.resolve().name, open_recording(folder)
        return name, pages().page_of_recording(opened, name)
    import surrogate

    return path.stem, pages().page_of_generator(surrogate.load(shown), path.stem)


def pages():
    """Return the module that makes pages. Raises ValueError where panel is missing."""
    with needed("explore", "the explorer"):
        from surrogate.explorer import pages
    return pages


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"view: {error}", file=sys.stderr)
        sys.exit(2)
