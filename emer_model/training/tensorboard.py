"""Curves for TensorBoard, while a fold is trained."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

#: Beside the folds of a run.
FOLDER = "tensorboard"

#: What the files of TensorBoard are called.
EVENTS = "events.out.tfevents.*"

MISSING = (
    "No logs for TensorBoard are written: the package tensorboard is not installed. Install emer-toolkit[train], or say "
    "--no-tensorboard. Training is the same without."
)


def is_installed() -> bool:
    """Tell whether logs can be written."""
    return find_spec("tensorboard") is not None


class TensorBoardLog:
    """Writes the figures of each epoch.

    Parameters
    ----------
    folder : Path
        Of the fold; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = None

    def __call__(self, epoch: int, _epochs: int, row: dict[str, float]) -> None:
        """Write an epoch's figures; see `emer_model.training.fitting.Watch`."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # What an interrupted training wrote of this and later epochs is left out.
            self._writer = SummaryWriter(str(self._folder), purge_step=epoch)
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(_place(name), value, epoch)

    def close(self) -> None:
        """Finish the file; nothing if nothing was written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def clear(folder: Path) -> None:
    """Remove the logs of a fold, and the folder where nothing else is in it."""
    if not folder.is_dir():
        return
    for path in folder.glob(EVENTS):
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _place(name: str) -> str:
    """Turn a column of the curves into a name that TensorBoard groups, such as validation/er_emotion_uar."""
    for prefix, group in (("train_", "training/"), ("val_", "validation/")):
        if name.startswith(prefix):
            return group + name.removeprefix(prefix)
    return name
