"""A page on a web server of this machine alone."""

from collections.abc import Callable

import panel
from panel.io.server import Server, get_server

from surrogate.explorer import look

ADDRESS = "localhost"


def server(page: Callable[[], panel.viewable.Viewable], title: str, port: int = 0) -> Server:
    """Return a server that makes a page for every browser window that opens it.

    It answers as soon as its `io_loop` runs. port: 0 for any that is free; the server's `port` says which.
    Raises ValueError for a port that is taken or not to be had.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"port {port}: ports are 1 to 65535, or 0 for any that is free")
    panel.extension(raw_css=[look.PAGE])
    try:
        made = get_server({"/": page}, port=port, address=ADDRESS, title=title)
    except OSError as error:
        raise ValueError(f"port {port}: {error.strerror or error}; 0 takes any that is free") from None
    made.start()
    return made
