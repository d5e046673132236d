from __future__ import annotations

import pandas as pd

from data_schema.exports.label_tables import TARGET_COLUMNS
from data_schema.exports.protocols import PROTOCOLS, protocol_clips
from data_schema.exports.reading import TrainingExport
from data_schema.vocabularies import EMOTIONS, POLARITIES


def test_the_seven_protocols():
    assert list(PROTOCOLS) == ["er-3", "er-7", "fer-3", "fer-7", "er-va", "fer-va", "fer-intensity"]
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.task == name.split("-")[0]
        assert all(target in TARGET_COLUMNS for target in protocol.targets)
        assert all(target.startswith(f"{protocol.task}_") for target in protocol.targets)
        assert (protocol.kind == "classes") == bool(protocol.classes)
    assert PROTOCOLS["er-3"].classes == POLARITIES
    assert PROTOCOLS["fer-7"].classes == EMOTIONS
    assert PROTOCOLS["er-va"].targets == ("er_valence", "er_arousal")
    assert PROTOCOLS["fer-intensity"].targets == ("fer_intensity",)


def targets(rows):
    """Targets of clips c0, c1, ...: each row is a dict of what is known."""
    table = pd.DataFrame({"clip_id": [f"c{n}" for n in range(len(rows))]})
    for name in list(TARGET_COLUMNS)[1:]:
        default = 1 if name.endswith("n_raters") else None
        table[name] = [row.get(name, default) for row in rows]
    return table


def test_who_takes_part_and_why_others_do_not():
    rows = [
        {"er_emotion": "fear"},
        {"er_emotion": "fear", "er_n_raters": 3},
        {},
        {"er_emotion": "anger", "er_n_raters": 2},
        {"er_emotion": "anger", "er_decided_by": "lead"},
    ]
    protocol, nobody = PROTOCOLS["er-7"], {}
    found = protocol_clips(protocol, targets(rows), nobody)
    assert found.clip_ids == ("c0", "c1", "c3", "c4")
    assert found.left_out == {"no label, a skip or a tie": 1}
    assert list(found.per_class) == list(EMOTIONS)
    assert (found.per_class["fear"], found.per_class["anger"], found.per_class["disgust"]) == (2, 2, 0)
    assert "too few clips" in found.problems[0]
    assert "disgust 0" in found.problems[0]
    strict = protocol_clips(protocol, targets(rows), nobody, min_raters=3)
    assert strict.clip_ids == ("c1", "c4")  # what an adjudicator decided stands for any number
    assert strict.left_out == {"no label, a skip or a tie": 1, "fewer than 3 raters": 2}


def test_valence_and_arousal_are_both_needed():
    rows = [{"er_valence": 0.5, "er_arousal": 0.1}, {"er_valence": 0.5}, {"er_arousal": 0.0}]
    found = protocol_clips(PROTOCOLS["er-va"], targets(rows), {})
    assert found.clip_ids == ("c0",)
    assert (found.per_class, found.problems) == ({}, ())


def test_simulated_clips_never_stand_beside_real_ones():
    rows = [{"fer_emotion": "anger"}] * 3
    both = protocol_clips(PROTOCOLS["fer-7"], targets(rows), {"c0": True, "c1": False, "c2": True})
    assert both.clip_ids == ("c1",)
    assert both.left_out == {"simulated, beside real ones": 2}
    alone = protocol_clips(PROTOCOLS["fer-7"], targets(rows), dict.fromkeys(("c0", "c1", "c2"), True))
    assert alone.clip_ids == ("c0", "c1", "c2")
    # A real clip without a label is no reason to throw the simulated ones away.
    unlabelled = targets([{"fer_emotion": "anger"}, {}])
    assert protocol_clips(PROTOCOLS["fer-7"], unlabelled, {"c0": True, "c1": False}).clip_ids == ("c0",)


def test_enough_clips_are_no_problem():
    rows = [{"er_polarity": name} for name in POLARITIES for _ in range(6)]
    assert protocol_clips(PROTOCOLS["er-3"], targets(rows), {}).problems == ()


def test_the_data_card_and_the_trainer_go_by_the_protocol(made):
    card = (made[1] / "data_card.md").read_text(encoding="utf-8")
    assert "er-7: too few clips to learn and test (6 a class): happiness 0, sadness 3, fear 3" in card
    assert "6 no label, a skip or a tie" in card  # of valence and arousal of the expression
    with TrainingExport.open(made[1]) as export:
        blank = export.targets_of("fer-va")
        assert blank["fer_valence"].isna().all()
        assert blank["er_emotion"].notna().all()
        one = export.targets.assign(fer_valence=0.5)
        export.__dict__["targets"] = one  # valence without arousal: not both targets
        assert export.targets_of("fer-va")["fer_valence"].isna().all()
        assert export.targets["fer_valence"].notna().all()
