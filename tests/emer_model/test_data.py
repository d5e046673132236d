from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from data_schema.errors import ExportError, TrainingError, UsageError
from data_schema.exports.reading import TrainingExport
from data_schema.exports.splits import ClipSplit
from emer_model.data import (
    ClipStore,
    FeatureNormalisation,
    FoldData,
    encode,
    parse_folds,
    protocol_targets,
    subtract_subject_baseline,
    target,
)
from emer_model.training.config import RunConfig
from emer_model.training.runner import train

#: What EMERT looks at, and the summaries beside.
SEEN = ("faces", "face_mask", "eye", "eye_mask", "fixations", "fixation_mask", "summary", "summary_mask")


def clips_of(*people: str) -> tuple[str, ...]:
    return tuple(f"sub-{code}_ses-01_trial-{number:03d}" for code in people for number in range(1, 8))


SPLIT = ClipSplit("subject", 0, "fold 0", clips_of("P003", "P006"), clips_of("P002", "P005"), clips_of("P001", "P004"))


def open_store(path: Path, **options) -> tuple[ClipStore, pd.DataFrame]:
    with TrainingExport.open(path) as export:
        return ClipStore(export, **options), export.targets


def fold(path: Path, split: ClipSplit = SPLIT, targets: tuple = (target("er_emotion"),), **options) -> FoldData:
    return FoldData(*open_store(path), split, targets, SEEN, **options)


# ---------------------------------------------------------------- normalisation


def test_moments_leave_out_what_is_masked() -> None:
    values = np.array([[[1.0, 5.0], [3.0, 1e6]]], dtype=np.float32)
    mask = np.array([[[True, True], [True, False]]])
    fitted = FeatureNormalisation.fit(values, mask)
    assert fitted.mean.tolist() == [2.0, 5.0]
    assert fitted.spread.tolist() == [1.0, 1.0]  # a feature that does not vary keeps its unit
    assert fitted.apply(values, mask).tolist() == [[[-1.0, 0.0], [1.0, 0.0]]]


def test_normalisation_is_fitted_on_training_participants_only(own_export: Path, fixture) -> None:
    store, labels = open_store(own_export)
    store.face_features = np.random.default_rng(0).normal(size=(42, 2, 5)).astype(np.float32)
    inputs = (*SEEN[1:], "face_features", "face_summary", "face_present")
    others = np.isin(store.clip_ids, SPLIT.test + SPLIT.validation)
    fitted = FoldData(store, labels, SPLIT, (target("er_emotion"),), inputs).normalisation
    assert set(fitted) == {"eye", "fixations", "summary", "face_features", "face_summary"}
    for name in fitted:
        before = fitted[name]
        values = getattr(store, "face_features" if name == "face_summary" else name)
        kept = values.copy()
        values[others] = values[others] * 100 + 7
        after = FoldData(store, labels, SPLIT, (target("er_emotion"),), inputs).normalisation[name]
        assert np.array_equal(before.mean, after.mean) and np.array_equal(before.spread, after.spread)
        values[~others] *= 100
        moved = FoldData(store, labels, SPLIT, (target("er_emotion"),), inputs).normalisation[name]
        assert not np.array_equal(before.mean, moved.mean)
        values[:] = kept


def test_a_participant_is_standardised_by_own_clips_alone() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 4, 2)).astype(np.float32)
    values[:30] += 3
    mask = np.ones(values.shape, dtype=bool)
    participants = ["A"] * 30 + ["B"] * 30
    result = subtract_subject_baseline(values, mask, participants)
    assert abs(values[:30].mean() - values[30:].mean()) > 2.5
    assert abs(result[:30].mean() - result[30:].mean()) < 0.3
    alone = subtract_subject_baseline(values[:30], mask[:30], participants[:30])
    assert np.array_equal(result[:30], alone)


def test_few_clips_move_a_baseline_little() -> None:
    values = np.full((1, 4, 1), 3.0, dtype=np.float32)
    result = subtract_subject_baseline(values, np.ones(values.shape, dtype=bool), ["A"])
    assert 1.5 < result.mean() < 3.0


# ---------------------------------------------------------------- batches


def test_batches_hold_the_clips_asked_for(tiny_export: Path) -> None:
    data = fold(tiny_export)
    part = data.dataset("test")
    batch = part.__getitems__([3, 0])
    with TrainingExport.open(tiny_export) as export:
        for row, position in enumerate((3, 0)):
            clip_id = part.store.clip_ids[part.indices[position]]
            arrays = export.read(clip_id)
            assert np.array_equal(batch["faces"][row].numpy(), arrays["faces"])
            assert np.array_equal(batch["eye_mask"][row].numpy(), arrays["eye_mask"])
            emotion = export.targets.set_index("clip_id").loc[clip_id, "er_emotion"]
            assert target("er_emotion").classes[int(batch["target/er_emotion"][row])] == emotion
    assert (batch["eye"].numpy()[~batch["eye_mask"].numpy()] == 0).all()


def test_faces_read_from_disk_are_those_in_memory(tiny_export: Path) -> None:
    memory, _ = open_store(tiny_export, face_size_px=14)
    assert memory.in_memory
    with TrainingExport.open(tiny_export) as export:
        disk = ClipStore(export, face_size_px=14, face_memory_mb=0.0)
        assert not disk.in_memory
        assert np.array_equal(memory.faces([5, 1]).numpy(), disk.faces([5, 1]).numpy())


def test_parts_are_disjoint_in_participants_and_cover_all_clips(tiny_export: Path) -> None:
    with TrainingExport.open(tiny_export) as export:
        splits = export.splits()
        store = ClipStore(export)
        for split in splits:
            data = FoldData(store, export.targets, split, (target("er_emotion"),), SEEN)
            people = [{store.participants[i] for i in clips} for clips in data.parts.values()]
            assert not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
            assert sum(len(clips) for clips in data.parts.values()) == len(store)
    tested = [clip for split in splits for clip in split.test]
    assert sorted(tested) == sorted(store.clip_ids)


def test_clips_without_a_label_are_left_out(own_export: Path, fixture) -> None:
    whole = fold(own_export).parts["test"]

    def drop(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame["clip_id"].str.startswith("sub-P001"), "er_emotion"] = None
        return frame

    fixture.change_targets(own_export, drop)
    assert len(fold(own_export).parts["test"]) == len(whole) - 7


# ---------------------------------------------------------------- bad input


def test_nan_features_are_named(own_export: Path, fixture) -> None:
    def spoil(eye: np.ndarray) -> np.ndarray:
        eye[2, 4, 1] = np.nan
        return eye

    fixture.change_shard(own_export, "eye", spoil)
    fixture.change_shard(own_export, "eye_mask", lambda mask: np.ones_like(mask))
    with pytest.raises(TrainingError, match="/eye of clip sub-P001_ses-01_trial-003: 'eye_1' is nan at step 4"):
        open_store(own_export)


@pytest.mark.parametrize(
    ("array", "value", "named"), [("gaze_points", np.nan, "'x' is nan"), ("eye", 3e30, "'eye_0' is 3e\\+30")]
)
def test_what_cannot_be_measured_is_named(own_export: Path, fixture, array: str, value: float, named: str) -> None:
    def change(values: np.ndarray) -> np.ndarray:
        values[1, 0, 0] = value
        return values

    fixture.change_shard(own_export, "eye_mask", np.ones_like)
    fixture.change_shard(own_export, array, change)
    with TrainingExport.open(own_export) as export, pytest.raises(TrainingError, match=f"/{array} of clip .*: {named}"):
        ClipStore(export, images=False)


def test_one_recording_under_two_participants_is_a_leak(own_export: Path, fixture) -> None:
    first, second = sorted((own_export / "shards").glob("*.h5"))[:2]
    second.write_bytes(first.read_bytes())
    fixture.write_manifest(own_export)
    with TrainingExport.open(own_export) as export, pytest.raises(TrainingError, match="P001 and of P002"):
        ClipStore(export, images=False)


def test_one_class_alone_is_nothing_to_learn(own_export: Path, fixture) -> None:
    fixture.change_targets(own_export, lambda table: table.assign(er_emotion="fear"))
    with pytest.raises(TrainingError, match="every clip with er_emotion is labelled fear"):
        fold(own_export)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: pd.concat([table, table.iloc[:1]]), "listed twice"),
        (lambda table: table.iloc[1:], "clips.parquet is missing"),
    ],
)
def test_targets_have_one_row_a_clip(own_export: Path, fixture, change, message: str) -> None:
    fixture.change_targets(own_export, change)
    with TrainingExport.open(own_export) as export, pytest.raises(ExportError, match=message):
        _ = export.targets


def test_words_among_numbers_are_named() -> None:
    labels = pd.Series(["0.5", None, "high"], index=["a", "b", "c"])
    with pytest.raises(TrainingError, match="clip c is high"):
        encode(target("er_valence"), labels)


def test_labels_off_their_scale_are_named(own_export: Path, fixture) -> None:
    fixture.change_targets(own_export, lambda f: f.assign(er_valence=1.5))
    with pytest.raises(TrainingError, match=r"er_valence of clip sub-P001\S+ is 1.5. Expected -1 to 1"):
        fold(own_export, targets=(target("er_valence"),))
    fixture.change_targets(own_export, lambda f: f.assign(er_emotion="joy"))
    with pytest.raises(TrainingError, match=r"is 'joy'\. Expected one of: happiness"):
        fold(own_export)


def test_a_class_that_no_training_clip_has(own_export: Path, fixture, caplog: pytest.LogCaptureFixture) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        trains = frame["clip_id"].str.contains("P003|P006")
        frame.loc[trains & (frame["er_emotion"] == "disgust"), "er_emotion"] = "anger"
        return frame

    fixture.change_targets(own_export, change)
    with pytest.raises(TrainingError, match="no training clip is labelled disgust"):
        fold(own_export)
    assert len(fold(own_export, allow_missing_classes=True).parts["train"]) == 14
    with caplog.at_level("WARNING"):
        fold(own_export, ClipSplit("subject", 1, "fold 1", SPLIT.test, SPLIT.validation, SPLIT.train))
    assert "no test clip is labelled disgust" in caplog.text


@pytest.mark.parametrize(
    ("clip", "error", "message"),
    [(1, TrainingError, "could be trained on and tested on"), (-1, ExportError, "participants")],
    ids=["of one participant", "of two"],
)
def test_the_same_recording_twice_is_a_leak(own_export: Path, fixture, clip: int, error: type, message: str) -> None:
    path = own_export / "clips.parquet"
    clips = pd.read_parquet(path)
    clips.loc[clips.index[clip], ["shard", "row"]] = clips.loc[0, ["shard", "row"]].to_numpy()
    clips.to_parquet(path)
    fixture.write_manifest(own_export)
    with pytest.raises(error, match=message):
        open_store(own_export)


def change_folds(path: Path, fixture, change) -> None:
    folds = json.loads((path / "folds.json").read_text(encoding="utf-8"))
    change(folds)
    (path / "folds.json").write_text(json.dumps(folds), encoding="utf-8")
    fixture.write_manifest(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["assignment"].pop("P004"), "P004"),
        (lambda f: f["assignment"].update(P004=9), "P004"),
        (lambda f: f.update(n_folds=2, assignment={p: i % 2 for i, p in enumerate(f["assignment"])}), "set"),
        (lambda f: f.update(n_folds=8, assignment={p: i % 2 for i, p in enumerate(f["assignment"])}), "train set"),
    ],
    ids=["no fold", "unknown fold", "two folds leave nothing to train on", "two folds of eight hold somebody"],
)
def test_folds_that_cannot_be_used(own_export: Path, fixture, change, message: str) -> None:
    change_folds(own_export, fixture, change)
    with pytest.raises(ExportError, match=message), TrainingExport.open(own_export) as export:
        export.splits()


def test_a_fold_without_labels_names_its_people_and_what_was_left_out(
    own_export: Path, fixture, tmp_path: Path
) -> None:
    targets = pd.read_parquet(own_export / "targets.parquet")
    mine = targets["clip_id"].str.contains("P003|P006")
    targets.loc[mine, "er_emotion"] = None
    targets.to_parquet(own_export / "targets.parquet", index=False)
    fixture.write_manifest(own_export)
    told: list[str] = []
    config = RunConfig.of("er-7", "eye-only", epochs=1)
    with pytest.raises(TrainingError, match=r"part \(P003, P006\) no clip with er_emotion .* --folds 0,1"):
        train(own_export, tmp_path / "run", config, device="cpu", tell=told.append)
    assert f"left out: {mine.sum()} no label, a skip or a tie" in told[0]


def test_a_model_that_would_see_nothing_is_refused(own_export: Path, fixture, tmp_path: Path) -> None:
    for shard in sorted((own_export / "shards").glob("*.h5")):
        with h5py.File(shard, "r+") as file:
            file["face_mask"][...] = False
    fixture.write_manifest(own_export)
    with pytest.raises(TrainingError, match="No clip has a face, and model 'logistic-face' looks at nothing else"):
        train(own_export, tmp_path / "run", RunConfig.of("er-7", "logistic-face"), device="cpu")
    assert not (tmp_path / "run").exists()
    eyes = train(own_export, tmp_path / "eyes", RunConfig.of("er-7", "logistic-both"), folds="0", device="cpu")
    assert eyes["finished_folds"] == [0]


def test_feature_names_must_fit(own_export: Path, fixture) -> None:
    manifest = json.loads((own_export / "manifest.json").read_text(encoding="utf-8"))
    manifest["eye_features"].pop()
    fixture.write_manifest(own_export, manifest)
    with pytest.raises(TrainingError, match="names 5 eye_features but the shards hold 6"):
        open_store(own_export)


def test_summaries_say_what_chunks_and_fixations_hold(tiny_export: Path) -> None:
    store, _ = open_store(tiny_export)
    names = store.names["summary"]
    assert store.summary.shape == store.summary_mask.shape == (42, len(names)) and len(set(names)) == len(names)
    i, feature = 5, 2

    def column(name: str) -> float:
        assert store.summary_mask[i, names.index(name)]
        return float(store.summary[i, names.index(name)])

    values, mask = store.eye[i, :, feature].astype(float), store.eye_mask[i, :, feature]
    time = (np.arange(32) + 0.5) / 32
    assert column("chunks/eye_2/mean") == pytest.approx(values[mask].mean(), rel=1e-5)
    assert column("chunks/eye_2/spread") == pytest.approx(values[mask].std(), rel=1e-5)
    assert column("chunks/eye_2/slope") == pytest.approx(np.polyfit(time[mask], values[mask], 1)[0], rel=1e-4)
    assert column("chunks/eye_2/quarter_3") == pytest.approx(values[16:24][mask[16:24]].mean(), rel=1e-5)
    there = store.fixation_mask[i]
    assert column("fixations/count") == there.sum()
    assert column("fixations/duration_s/mean") == pytest.approx(store.fixations[i, there, 3].mean(), rel=1e-5)


def test_summaries_of_nothing_are_masked(own_export: Path, fixture) -> None:
    fixture.change_shard(own_export, "eye_mask", np.zeros_like)
    fixture.change_shard(own_export, "fixation_mask", np.zeros_like)
    data = fold(own_export)
    nobody = data.store.summary_mask[:7]
    assert not nobody.any() and data.store.summary_mask[7:].any()
    batch = data.dataset("test").__getitems__([0])
    assert batch["summary"].isfinite().all() and (batch["summary"][~batch["summary_mask"]] == 0).all()


def test_faces_cannot_be_enlarged(tiny_export: Path) -> None:
    with pytest.raises(TrainingError, match="holds 28 px"):
        open_store(tiny_export, face_size_px=56)


def test_fold_numbers() -> None:
    assert parse_folds("all", [0, 1, 3]) == [0, 1, 3]
    assert parse_folds("3, 0", [0, 1, 3]) == [0, 3]
    for wrong in ("2", "4", "-1", "a", ""):
        with pytest.raises(UsageError, match="no fold of this export"):
            parse_folds(wrong, [0, 1, 3])


def test_targets_of_every_protocol_can_be_encoded(tiny_export: Path) -> None:
    from data_schema.exports.protocols import PROTOCOLS

    _, labels = open_store(tiny_export)
    for protocol in PROTOCOLS.values():
        for declared in protocol_targets(protocol):
            encoded = encode(declared, labels.set_index("clip_id")[declared.name])
            assert len(encoded) == 42 and declared.classes == protocol.classes
    with pytest.raises(TrainingError, match="There is no target 'er_mood'"):
        target("er_mood")
