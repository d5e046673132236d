"""What an annotator takes along: a folder with the clips of one pass, and nothing that the pass must not see.

`build_bundle` makes it from the study, `BundleSource` opens it on the annotator's machine, `check_bundle` says
whether it is whole, and `merge_labels` brings its labels home. The study keeps a key file that maps the opaque
names back, and a secret; neither is ever in a bundle.
"""

from __future__ import annotations

from annotation.bundle.identity import StudyIdentity, study_identity

__all__ = ["StudyIdentity", "study_identity"]
