"""What a training run tells while it goes: a progress bar or plain lines, and wandb."""

import logging
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from surrogate.evaluation import example_figure

logger = logging.getLogger(__name__)

WandbMode = Literal["offline", "online", "disabled"]


class Journal:
    """Reports of one run; silent on every device but the first. A context manager."""

    def __init__(
        self,
        folder: Path,
        settings: dict,
        *,
        steps: int,
        done: int,
        mode: WandbMode,
        silent: bool = False,
    ):
        """mode: of wandb, whose files go to folder/wandb. done: steps taken before this start."""
        self.silent, self.steps = silent, steps
        self.run = None if silent or mode == "disabled" else _wandb_run(folder, settings, mode)
        console = Console(stderr=True)
        self.plain = not console.is_terminal
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[news]}"),
            console=console,
            disable=silent or self.plain,
        )
        self.task = self.progress.add_task("training", total=steps, completed=done, news="")

    def __enter__(self) -> "Journal":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()
        if self.run is not None:
            self.run.finish()

    def advance(self, step: int) -> None:
        """Move the progress bar to a step."""
        self.progress.update(self.task, completed=step)

    def write(self, step: int, stage: str, numbers: dict[str, float]) -> None:
        """Report losses and scores by name."""
        if self.silent:
            return
        news = f"{stage} " + " ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        self.progress.update(self.task, news=news)
        if self.plain:
            print(f"step {step}/{self.steps} {news}", flush=True)
        if self.run is not None:
            self.run.log({f"{stage}/{name}": value for name, value in numbers.items()}, step=step)

    def show(
        self,
        step: int,
        muap: Float[Tensor, "row column time"],
        generated: Float[Tensor, "row column time"],
    ) -> None:
        """Report an example: a simulated MUAP [V] and the one generated for its conditions."""
        if self.run is None:
            return
        import wandb

        figure = example_figure(muap, generated)
        self.run.log({"example": wandb.Image(figure)}, step=step)


def _wandb_run(folder: Path, settings: dict, mode: WandbMode):
    """Start wandb, or say in one line why there is none."""
    try:
        import wandb

        return wandb.init(
            project="myomime",
            dir=folder,
            config=settings,
            mode=mode,
            settings=wandb.Settings(silent=True, console="off"),
        )
    except Exception as error:  # Whatever keeps wandb from starting must not keep us from training.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        logger.warning("wandb does not start (%s); going on without it", reason)
        return None
