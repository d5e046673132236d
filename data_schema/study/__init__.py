"""What a study is: its folder and its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_schema.study.config import StudyConfig, config_from_json, load_config, parse_config
from data_schema.study.folder import SessionName, StudyFolder, check_code, find_study, parse_session_name
from data_schema.study.sections import Stimulus

if TYPE_CHECKING:
    from data_schema.study.scaffold import init_study

__all__ = [
    "SessionName",
    "Stimulus",
    "StudyConfig",
    "StudyFolder",
    "check_code",
    "config_from_json",
    "find_study",
    "init_study",
    "load_config",
    "parse_config",
    "parse_session_name",
]


def __getattr__(name: str) -> Any:
    """Import `init_study` when it is asked for: it draws videos with OpenCV, which windows must not import first."""
    if name != "init_study":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from data_schema.study.scaffold import init_study

    return init_study
