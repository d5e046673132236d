"""`emer export-onnx`: write a run's models as graphs that other programs run."""

from __future__ import annotations

from pathlib import Path

import typer

from emer_model.cli.talk import require_folder, talk


def export_onnx(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder of `emer train`."),
    out: Path = typer.Option(..., metavar="FOLDER", help="Where fold-K.onnx and fold-K.json are written."),
    fold: list[int] = typer.Option(
        [], metavar="K", help="This fold alone; may be given again. All finished ones by default."
    ),
    export: Path | None = typer.Option(None, metavar="EXPORT", help="Where the run's export is now, if it has moved."),
    force: bool = typer.Option(False, "--force", help="Replace the graphs that are there."),
) -> None:
    """Write the models of a run as ONNX graphs, one a fold, each compared with torch on clips of the export.

    A model that was trained with its face backbone takes face crops, every other one takes features. The
    JSON beside a graph says how a clip is prepared: names, shapes, normalisation, classes, temperature.
    A graph whose answers differ from torch's by more than 1e-4 is not written.
    """
    from data_schema.cli.talk import progress_bar
    from emer_model.prediction.onnx_export import export_onnx as write_graphs
    from emer_model.prediction.onnx_graph import require_onnx
    from emer_model.training.opened import OpenedRun
    from emer_model.training.run_folder import RunFolder

    require_folder(run, "RUN")
    require_onnx()
    with progress_bar(f"export-onnx {run.name}") as progress, OpenedRun(RunFolder(run), export, device="cpu") as opened:
        for note in opened.run.notes(opened.state, opened.path):
            talk(note)
        written = write_graphs(opened, out, folds=fold or None, overwrite=force, progress=progress)
    for graph in written:
        typer.echo(f"{graph.path}  greatest difference from torch {graph.difference:.1e}")
    takes = "face crops" if written and written[0].takes_images else "features, not pictures: see prepare in the JSON"
    talk(f"The graphs take {takes}.")
