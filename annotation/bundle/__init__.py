"""What an annotator takes along: a folder with the clips of one pass, and nothing that the pass must not see.

`build_bundle` makes it from the study, `BundleSource` opens it on the annotator's machine, `check_bundle` says
whether it is whole, and `merge_labels` brings its labels home. The study keeps a key file that maps the opaque
names back, and a secret; neither is ever in a bundle.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from annotation.identity import StudyIdentity, study_identity

if TYPE_CHECKING:
    from annotation.bundle.build import BuiltBundle, build_bundle
    from annotation.bundle.check import check_bundle
    from annotation.bundle.contents import BundleError, is_bundle
    from annotation.bundle.merge import MergedFile, merge_labels
    from annotation.bundle.source import BundleSource

#: Module of each public name; imported when it is asked for, since making a bundle needs more than opening one.
_HOME = {
    "BuiltBundle": "build",
    "BundleError": "contents",
    "BundleSource": "source",
    "MergedFile": "merge",
    "build_bundle": "build",
    "check_bundle": "check",
    "is_bundle": "contents",
    "merge_labels": "merge",
}

__all__ = [
    "BuiltBundle",
    "BundleError",
    "BundleSource",
    "MergedFile",
    "StudyIdentity",
    "build_bundle",
    "check_bundle",
    "is_bundle",
    "merge_labels",
    "study_identity",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
