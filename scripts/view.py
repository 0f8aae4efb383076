"""Explore a generator or a recording in the browser: `python scripts/view.py [RECORDING | CHECKPOINT]`."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from surrogate.recording import STORE, open_recording


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
    try:
        from surrogate.explorer.pages import page_of_generator, page_of_recording
        from surrogate.explorer.server import server
    except ModuleNotFoundError as error:
        if error.name not in ("panel", "bokeh"):
            raise
        raise ValueError("the explorer needs the extra explore: pip install 'myomime[explore]'") from None
    path = Path(options.shown)
    folder = path.parent if path.name == STORE else path
    if path.name == STORE or path.is_dir():
        page = page_of_recording(open_recording(folder), folder.resolve().name)
    else:
        import surrogate

        page = page_of_generator(surrogate.load(options.shown), path.stem)
    serving = server(page, f"myomime: {path.stem}", options.port)
    print(f"http://localhost:{serving.port} (Ctrl-C ends it)", flush=True)
    if options.browser:
        serving.show("/")
    try:
        serving.io_loop.start()
    except KeyboardInterrupt:
        serving.stop()


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"view: {error}", file=sys.stderr)
        sys.exit(2)
