"""What a person sees of a training run: a bar on a terminal, a line an epoch in a log."""

import datetime
import importlib.util
import sys
import time
from typing import Any


class ProgressReport:
    """Counts images and epochs; shows loss, error, images/s and the time left.

    Args:
        name: of the cell.
        epochs: planned in all.
        images_per_epoch: trained on in one.
        done: epochs already behind a resumed cell.
    """

    def __init__(self, name: str, epochs: int, images_per_epoch: int, done: int) -> None:
        self.name, self.epochs, self.images_per_epoch, self.done = name, epochs, images_per_epoch, done
        self.began = time.monotonic()
        self.bar: Any = None  # tqdm's, whose types a GPU machine may lack

    def __enter__(self) -> "ProgressReport":
        if self.done:
            print(f"{self.name}: going on after epoch {self.done} of {self.epochs}", flush=True)
        # A GPU machine may lack tqdm; training goes without it.
        if sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
            from tqdm import tqdm

            total, behind = self.epochs * self.images_per_epoch, self.done * self.images_per_epoch
            self.bar = tqdm(total=total, initial=behind, desc=self.name, unit=" images", unit_scale=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.close()

    def images(self, count: int) -> None:
        """So many more images were trained on."""
        if self.bar:
            self.bar.update(count)

    def epoch(self, row: dict[str, float]) -> None:
        """An epoch is over; `row` is its line of curves.csv."""
        measured = (
            f"train {row['train_loss']:.4f} {row['train_error']:.2f} %  "
            f"test {row['test_loss']:.4f} {row['test_error']:.2f} %"
        )
        if self.bar:
            self.bar.set_postfix_str(measured, refresh=False)
            return
        epoch = int(row["epoch"])
        seconds = (time.monotonic() - self.began) / (epoch - self.done)
        left = datetime.timedelta(seconds=round(seconds * (self.epochs - epoch)))
        speed = self.images_per_epoch / seconds
        print(
            f"{self.name}: epoch {epoch}/{self.epochs}  {measured}  {speed:,.0f} images/s  {left} left",
            flush=True,
        )
