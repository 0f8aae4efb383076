"""When a page is drawn again: once for all changes that have arrived, and never while one is drawn."""

from collections.abc import Callable

import panel
from bokeh.document import Document


class Redrawing:
    """A step that is done after the changes of a page that already wait, all of its messages in one.

    A slider that is dragged sends more values than can be drawn; the last one counts. Without a page, as in
    tests and notebooks, the step is done at once.
    """

    def __init__(self, step: Callable[[], None]):
        self.step, self.waits = step, False

    def __call__(self, *_: object) -> None:
        """Ask for the step; what changed does not matter."""
        document = panel.state.curdoc
        if document is None:
            self.step()
        elif not self.waits:
            self.waits = True
            document.add_next_tick_callback(lambda: self._now(document))

    def _now(self, document: Document) -> None:
        self.waits = False
        with panel.io.unlocked():
            self.step()


def soon(document: Document | None, step: Callable[[], None]) -> None:
    """Do a step of a page from any thread; at once where there is no page."""
    if document is None:
        step()
    else:
        document.add_next_tick_callback(step)
