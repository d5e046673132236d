"""Which labels of a study say something about agreement."""

from __future__ import annotations

import pandas as pd

from annotation.items import Block
from annotation.queue.assignments import load_assignments
from annotation.status import of_one_recording, read_study_labels
from data_schema.study import StudyFolder

_KEY = ["annotator_id", "task", "clip_id", "repetition"]


def counted_labels(study: StudyFolder) -> pd.DataFrame:
    """Read a study's labels without those of the training block and the admission test.

    Nor those of an older recording, where a clip was judged again since.
    In training the right answer is shown, and who is not admitted does not
    label: neither says how far the study's annotators agree.

    Raises
    ------
    LabelError
        If there are no labels, or they cannot be read.
    ExportError
        If the table of assignments is damaged.
    """
    labels = of_one_recording(read_study_labels(study), study)
    assigned = load_assignments(study)
    tested = assigned[assigned["block"] != Block.MAIN.value]
    if tested.empty:
        return labels
    is_test = pd.MultiIndex.from_frame(labels[_KEY]).isin(pd.MultiIndex.from_frame(tested[_KEY]))
    kept: pd.DataFrame = labels[~is_test].reset_index(drop=True)
    return kept
