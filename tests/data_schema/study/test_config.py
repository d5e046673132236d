"""A mistake in study.toml is answered with what, where and the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_schema.errors import ConfigError
from data_schema.study import config_from_json, load_config
from data_schema.study.config import StudyConfig
from data_schema.study.scaffold import config_to_toml

GOOD = '[study]\ntitle = "Smiles"\n'

MISTAKES = [
    (GOOD + "[camera]\nfsp = 30\n", r"study.toml: \[camera\] has no key 'fsp'. Did you mean 'fps'\?"),
    (GOOD + "[cammera]\nfps = 30\n", r"has no section 'cammera'. Did you mean 'camera'\?"),
    (GOOD + "[screen]\nwidth_px = 0\n", r"\[screen\] width_px = 0: .*greater than 0"),
    (GOOD + "[camera]\nkeyframe_every = 250\n", r"keyframe_every = 250: .*less than or equal to 15"),
    ("[study]\nseed = 3\n", r"\[study\] lacks 'title'"),
    (GOOD + '[[stimuli]]\nid = "a"\nfile = "a.mp4"\ntarget_emotion = "hapiness"\n', r"Did you mean 'happiness'\?"),
    (
        GOOD + '[[stimuli]]\nid = "a"\nfile = "../../etc/passwd"\ntarget_emotion = "fear"\n',
        r"number 1 \('a'\) file = .*below stimuli/",
    ),
    (GOOD + '[[stimuli]]\nid = "a"\nfile = "a"\ntarget_emotion = "fear"\n' * 2, r"two \[\[stimuli\]\] have the id 'a'"),
    ("[study\n", r"not valid TOML"),
    ("schema_version = 2\n" + GOOD, r"schema_version = 2"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_each_mistake_has_its_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD + "[camera]\nfsp = 30\n[screen]\nwidht_px = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "'fps'" in str(caught.value)
    assert "'width_px'" in str(caught.value)


def test_a_missing_or_binary_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="emer init"):
        load_config(tmp_path / "study.toml")
    (tmp_path / "study.toml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "study.toml")


def test_toml_and_json_round_trip(tmp_path: Path) -> None:
    config = StudyConfig.model_validate(
        {
            "study": {"title": 'Ein "Lächeln" \\ 微笑'},
            "protocol": {"self_report": False},
            "labels": {"emotions": ["fear", "neutral"]},
            "stimuli": [{"id": "a", "file": "sub/a.mp4", "target_emotion": "fear"}],
        }
    )
    path = tmp_path / "study.toml"
    path.write_text(config_to_toml(config), encoding="utf-8")
    assert load_config(path) == config
    assert config_from_json(config.to_json()) == config


def test_every_key_is_explained() -> None:
    for name, section in StudyConfig.model_fields.items():
        model = section.annotation
        for key, info in getattr(model, "model_fields", {}).items():
            assert info.description, f"[{name}] {key}"
