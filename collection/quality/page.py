"""Write the quality page of a session, and of a whole study: one self-contained HTML file each, and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from collection.quality.gaps import CAUSES
from collection.quality.measures import measure
from collection.quality.series import Series, read_series
from data_schema.atomic import write_atomically
from data_schema.errors import EmerError, SessionFileError, StudyError
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder


@dataclass(frozen=True)
class QualityPagePaths:
    """Where a quality page lies, and its verdict."""

    html: Path
    json: Path
    level: str
    sentences: tuple[str, ...]


def make_session_page(path: Path, study: StudyFolder) -> QualityPagePaths:
    """Measure one session and write its page beside it.

    Parameters
    ----------
    path : Path
        The session file.
    study : StudyFolder
        Its rule says which trials are included.

    Raises
    ------
    SessionFileError
        If the file cannot be read.
    """
    with open_session(path) as session:
        data = measure(session, study.config, _relative(path, study), study)
        series = read_series(session)
    html = _render("session.html", data=data, causes=CAUSES, **_plots(data, series))
    paths = QualityPagePaths(
        path.with_name(f"{path.stem}_quality.html"),
        path.with_name(f"{path.stem}_quality.json"),
        data["verdict"]["level"],
        tuple(data["verdict"]["sentences"]),
    )
    write_atomically(paths.json, _json_bytes(data))
    write_atomically(paths.html, html.encode("utf-8"))
    return paths


def make_study_page(
    study: StudyFolder, progress: Callable[[int, int, str], None] | None = None, *, session_pages: bool = True
) -> QualityPagePaths:
    """Measure all sessions of a study and write ``reports/quality.html`` and ``.json``.

    Parameters
    ----------
    study : StudyFolder
    progress : callable, optional
        Called with sessions done, sessions in all, and the next one's name.
    session_pages : bool
        Write each session's own page as well.

    Raises
    ------
    StudyError
        If there are no sessions.
    """
    files = study.session_files()
    if not files:
        raise StudyError(f"{study.root}: the study has no sessions yet. Record one: emer record run {study.root}")
    sessions: list[dict[str, Any]] = []
    unreadable: list[str] = []
    for done, path in enumerate(files):
        if progress is not None:
            progress(done, len(files), path.stem)
        try:
            if session_pages:
                make_session_page(path, study)
                sessions.append(json.loads(path.with_name(f"{path.stem}_quality.json").read_text(encoding="utf-8")))
            else:
                with open_session(path) as session:
                    sessions.append(measure(session, study.config, _relative(path, study), study))
        except (SessionFileError, EmerError) as error:
            unreadable.append(str(error))
    if progress is not None:
        progress(len(files), len(files), "")
    summary = _summary(sessions)
    data = {
        "format": "emer-quality-study", "format_version": 1, "title": study.config.study.title,
        "summary": summary, "unreadable": unreadable, "sessions": sessions,
    }  # fmt: skip
    folder = study.reports_dir
    folder.mkdir(exist_ok=True)
    html = _render("study.html", data=data, link=_session_link)
    write_atomically(folder / "quality.json", _json_bytes(data))
    write_atomically(folder / "quality.html", html.encode("utf-8"))
    level = "look" if unreadable or any(item["verdict"]["level"] != "good" for item in sessions) else "good"
    return QualityPagePaths(folder / "quality.html", folder / "quality.json", level, tuple(unreadable))


def _summary(sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a methods section says of a whole study: counts, and median with range over sessions."""
    trials = [trial for item in sessions for trial in item["trials"]]
    columns = {
        "accuracy_deg": lambda item: _of_validation(item, "accuracy_deg"),
        "precision_rms_s2s_deg": lambda item: _of_validation(item, "precision_rms_s2s_deg"),
        "gaze_loss": lambda item: item["gaze"]["loss_both"],
        "effective_rate_hz": lambda item: item["gaze"]["effective_rate_hz"],
        "frame_rate_hz": lambda item: item["camera"]["rate_hz"],
    }
    ranges = {name: _range([value(item) for item in sessions]) for name, value in columns.items()}
    return {
        "n_sessions": len(sessions),
        "n_participants": len({item["session"]["participant"] for item in sessions}),
        "n_simulated": sum(item["session"]["simulated"] for item in sessions),
        "n_trials": len(trials),
        "n_included": sum(trial["included"] for trial in trials),
        **ranges,
    }


def _of_validation(item: dict[str, Any], name: str) -> float | None:
    validation = item["calibration"]["validation"]
    return validation["eyes_mean"]["all"][name] if validation else None


def _range(values: list[float | None]) -> dict[str, float | int | None]:
    known = sorted(value for value in values if value is not None)
    if not known:
        return {"n": 0, "median": None, "lowest": None, "highest": None}
    middle = len(known) // 2
    median = known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2
    return {"n": len(known), "median": median, "lowest": known[0], "highest": known[-1]}


def _plots(data: dict[str, Any], series: Series) -> dict[str, Any]:
    """Draw the plots of a session's page; matplotlib is imported when one is drawn."""
    from markupsafe import Markup

    from collection.quality import plots

    limit = data["calibration"]["limits"]["max_accuracy_deg"]
    drawn = {
        "validation_svg": plots.validation_plot(data["calibration"]["validation"], data["screen"], limit),
        "timeline_svg": plots.timeline_plot(series, data["trials"], data["events"]),
        "rates_svg": plots.rates_plot(series, data["gaze"]["nominal_hz"]),
        "intervals_svg": plots.intervals_plot(series),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}


def _session_link(item: dict[str, Any]) -> str:
    name = item["session"]["file"].removesuffix(".h5")
    folder = f"sub-{item['session']['participant']}/ses-{item['session']['session']}"
    return f"../sessions/{folder}/{name}_quality.html"


def _relative(path: Path, study: StudyFolder) -> str:
    try:
        return path.resolve().relative_to(study.root.resolve()).as_posix()
    except ValueError:
        return path.name


def _json_bytes(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def _render(template: str, **given: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("collection.quality"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["percent"] = _percent
    style = resources.files("collection.quality").joinpath("templates/style.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=Markup(style), **given)


def _number(value: float | None, digits: int = 2, unit: str = "") -> str:
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"
