from __future__ import annotations

from data_schema.exports.label_tables import TARGET_COLUMNS
from data_schema.exports.protocols import PROTOCOLS
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
