"""Find the verbs, call one, and turn what users can mend into one sentence."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from data_schema import __version__
from data_schema.errors import EmerError, MissingExtraError, UsageError

GROUP = "emer.commands"

#: The order in which help lists the verbs: that of the work, from a new study to the paper.
_ORDER = (
    "init", "status", "doctor", "record", "import", "check", "repair", "describe", "quality", "clips", "signals", "maps",
    "annotate", "export", "train", "evaluate", "report", "withdraw",
)  # fmt: skip

#: Extra that brings a module, so that a missing one can be answered with the install line.
EXTRA_OF_MODULE: dict[str, str] = {
    "torch": "train",
    "lightning": "train",
    "torchmetrics": "train",
    "sklearn": "train",
    "safetensors": "train",
    "scipy": "train",
    "threadpoolctl": "train",
    "captum": "train",
    "tensorboard": "train",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "plotly": "train",
    "jinja2": "pages",
    "matplotlib": "pages",
    "pylsl": "lsl",
    "mlcroissant": "croissant",
    "distributed": "cluster",
    "dask": "cluster",
    "PyQt5": "annotate",
    "qtpy": "annotate",
    "psychopy": "lab",
    "tobii_research": "lab",
    "mediapipe": "mediapipe",
}


@lru_cache(maxsize=1)
def _verbs() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


class VerbGroup(TyperGroup):
    """A command group whose verbs are loaded from entry points when they are needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order of the work."""
        found = _verbs()
        known = [verb for verb in _ORDER if verb in found]
        return known + sorted(set(found) - set(known))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load one verb; an unknown one is answered with its nearest."""
        point = _verbs().get(cmd_name)
        if point is None:
            near = difflib.get_close_matches(cmd_name, _verbs(), n=1)
            hint = f"Did you mean '{near[0]}'?" if near else "See: emer --help"
            raise UsageError(f"emer has no verb '{cmd_name}'. {hint}")
        return _as_command(point.load(), cmd_name)


def _as_command(target: Any, name: str) -> Any:
    """Turn a function or a Typer group into a command called `name`."""
    if isinstance(target, typer.Typer):
        target.rich_markup_mode = None
        command: Any = typer.main.get_group(target)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name)(target)
        command = typer.main.get_command(app)
    command.name = name
    return command


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"emer {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    """Record, annotate and model emotion from eye behaviour and faces.

    STUDY defaults to the study folder that you are in. Every verb explains itself: emer VERB --help
    """


def build() -> Any:
    """Return the root command."""
    # Plain help text: the coloured one would import rich, which costs more than all the rest.
    app = typer.Typer(cls=VerbGroup, add_completion=False, rich_markup_mode=None, no_args_is_help=True)
    app.callback()(_root)
    return typer.main.get_command(app)


_INTERRUPTED = "interrupted. Nothing that is unfinished bears a finished name; the same command may be run again."


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``emer`` with arguments and return its exit code.

    Returns
    -------
    int
        0 good, 1 a problem of the data or the machine, 2 called wrongly, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        build().main(args=arguments, prog_name="emer")
    except SystemExit as stop:
        # Usage errors, help and `typer.Exit` end here: typer prints them itself.
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        # typer turns Ctrl-C into this code without a word. `emer record` says itself what became of the session.
        return _fail(_INTERRUPTED, code) if code == 130 and arguments[0] != "record" else code
    except EmerError as error:
        return _fail(str(error), error.exit_code)
    except MemoryError as error:
        said = f" ({error})" if str(error) else ""
        return _fail(
            f"this machine has too little memory for that{said}. Close other programs, or use a larger machine.", 1
        )
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA_OF_MODULE:
            raise
        verb = " ".join(["emer", *arguments[:1]])
        return _fail(str(MissingExtraError(EXTRA_OF_MODULE[missing], missing, f"`{verb}`")), 2)
    except KeyboardInterrupt:
        return _fail(_INTERRUPTED, 130)
    return 0


def _fail(message: str, code: int) -> int:
    typer.echo("\n".join(f"error: {line}" for line in message.splitlines()), err=True)
    return code


def run() -> None:
    """Entry point of the console script."""
    sys.exit(main())
