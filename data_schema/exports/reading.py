"""Read a training export: the one door through which models get their data."""

from __future__ import annotations

import logging
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy.typing as npt
import pandas as pd

from data_schema.errors import ExportError
from data_schema.exports.arrays import ARRAY_NAMES, ARRAYS, CLIP_ID
from data_schema.exports.clip_arrays import ShardArrays
from data_schema.exports.columns import EXPORTED_CLIPS, EXPORTED_TARGETS, meanings
from data_schema.exports.folds import Folds, load_folds
from data_schema.exports.manifest import read_manifest, verify_files
from data_schema.exports.protocols import PROTOCOLS, ProtocolClips, protocol_clips
from data_schema.exports.splits import ClipSplit, clip_splits
from data_schema.files import read_table

_log = logging.getLogger(__name__)

#: Columns of an export's ``clips.parquet`` and what they mean, in order.
EXPORTED_CLIP_COLUMNS: dict[str, str] = meanings(EXPORTED_CLIPS)
#: The same of ``targets.parquet``; from the declaration, since the module that makes these tables loads a database.
_TARGET_COLUMNS: dict[str, str] = meanings(EXPORTED_TARGETS)
#: Columns that exports of format 1.0 lack.
_SINCE_1_1 = ("session_sha256",)
_TARGETS_SINCE_1_1 = ("er_decided_by", "fer_decided_by")
#: Shards kept open at once. HDF5 takes 1.2 MB for each, and never gives it back: 64 of them were a fifth of a training's memory.
#: Whoever reads in order needs one; who reads at random from hundreds opens most of them anew either way (1 ms).
_OPEN_SHARDS = 8
_NEXT = "The export is damaged: copy it again, or export again with --force."


class TrainingExport:
    """A finished training export. Open it with :meth:`open`; close it, or use it in a ``with`` block.

    Can be sent to a worker process: each process opens the shards for itself.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self._shards: OrderedDict[str, ShardArrays] = OrderedDict()

    @classmethod
    def open(cls, path: Path | str, verify: bool = True) -> TrainingExport:
        """Open an export.

        Parameters
        ----------
        path : Path
            The folder that holds ``manifest.json``.
        verify : bool
            Hash every file and compare; False compares their sizes only.

        Raises
        ------
        ExportError
            If it is not finished, damaged, or of a newer format; or if a clip's participant contradicts its name, or
            the clips of one shard have several participants.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        verify_files(folder, manifest, hashes=verify)
        export = cls(folder, manifest)
        export._check_clips()
        return export

    def _check_clips(self) -> None:
        """Refuse clips whose participant is in doubt: a person in two folds would leak from training into test."""
        clips, where = self.clips, self.path / "clips.parquet"
        repeated = clips.loc[clips["clip_id"].duplicated(), "clip_id"]
        if len(repeated):
            raise ExportError(f"{where}: {repeated.iloc[0]} is listed twice. {_NEXT}")
        for clip_id, participant in zip(clips["clip_id"], clips["participant"], strict=True):
            if not str(clip_id).startswith(f"sub-{participant}_"):
                raise ExportError(f"{where}: {clip_id} is said to be of participant {participant}. {_NEXT}")
        for shard, people in clips.groupby("shard")["participant"].unique().items():
            if len(people) > 1:
                raise ExportError(
                    f"{where}: {shard} is one recording but has clips of several participants: "
                    f"{', '.join(sorted(map(str, people)))}. {_NEXT}"
                )

    def __enter__(self) -> TrainingExport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "manifest": self.manifest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self.manifest = state["path"], state["manifest"]
        self._shards = OrderedDict()

    def close(self) -> None:
        """Close the shards; reading opens them again."""
        while self._shards:
            self._shards.popitem()[1].close()

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def clips(self) -> pd.DataFrame:
        """One row a clip, columns :data:`EXPORTED_CLIP_COLUMNS`."""
        needed = tuple(name for name in EXPORTED_CLIP_COLUMNS if name not in _SINCE_1_1)
        table = read_table(self.path / "clips.parquet", needed, "clip table", _NEXT)
        for name in _SINCE_1_1:
            if name not in table.columns:
                table[name] = ""
        return table

    @cached_property
    def labels(self) -> pd.DataFrame:
        """All labels of all annotators and the self-reports, long."""
        return read_table(self.path / "labels.parquet", ("clip_id", "task", "source"), "label table", _NEXT)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row a clip: what is to be predicted, missing where unknown."""
        needed = tuple(name for name in _TARGET_COLUMNS if name not in _TARGETS_SINCE_1_1)
        table = read_table(self.path / "targets.parquet", needed, "target table", _NEXT)
        for name in _TARGETS_SINCE_1_1:
            if name not in table.columns:
                table[name] = None
        names = table["clip_id"].astype(str)
        repeated, lacking = names[names.duplicated()], sorted(set(self._places) - set(names))
        if len(repeated) or lacking:
            wrong = (
                f"{repeated.iloc[0]} is listed twice" if len(repeated) else f"{lacking[0]} of clips.parquet is missing"
            )
            raise ExportError(f"{self.path / 'targets.parquet'}: {wrong}; expected one row a clip. {_NEXT}")
        return table

    @cached_property
    def quality(self) -> pd.DataFrame:
        """One row a session."""
        return read_table(self.path / "quality.parquet", ("participant", "session"), "quality table", _NEXT)

    @property
    def folds(self) -> dict[str, Any]:
        """Content of ``folds.json``: seed, n_folds, assignment."""
        return self.fold_assignment.as_json()

    @cached_property
    def fold_assignment(self) -> Folds:
        """The frozen folds, with :meth:`~data_schema.exports.folds.Folds.splits`."""
        return load_folds(self.path / "folds.json")

    def splits(self, scheme: str = "subject") -> list[ClipSplit]:
        """Return which clips train, validate and test, under one of :data:`~data_schema.exports.splits.SCHEMES`.

        Raises
        ------
        ExportError
            If there is no such scheme, or the export has too few stimuli or participants for it.
        """
        return clip_splits(self.fold_assignment, self.clips, scheme)

    def clips_of(self, protocol: str, min_raters: int | None = None) -> list[str]:
        """Return the clips that take part in a protocol, see :meth:`protocol_clips`."""
        return list(self.protocol_clips(protocol, min_raters).clip_ids)

    def protocol_clips(self, protocol: str, min_raters: int | None = None) -> ProtocolClips:
        """Return which clips take part in a protocol, why others do not, and what is wrong with them.

        Parameters
        ----------
        protocol : str
        min_raters : int, optional
            Another number of raters than the protocol's.

        Raises
        ------
        ExportError
            If there is no such protocol.
        """
        if protocol not in PROTOCOLS:
            raise ExportError(f"there is no protocol '{protocol}'. There are: {', '.join(PROTOCOLS)}.")
        clips = self.clips
        simulated = dict(zip(clips["clip_id"].astype(str), clips["simulated"].astype(bool), strict=True))
        return protocol_clips(PROTOCOLS[protocol], self.targets, simulated, min_raters)

    def targets_of(self, protocol: str) -> pd.DataFrame:
        """Return the targets, with those of the protocol missing for clips that do not take part in it.

        The other targets stay: a model may learn from them beside the protocol's.
        """
        table: pd.DataFrame = self.targets.copy()
        out = ~table["clip_id"].isin(self.clips_of(protocol))
        for name in PROTOCOLS[protocol].targets:
            table[name] = table[name].mask(out, float("nan") if table[name].dtype.kind == "f" else None)
        return table

    @cached_property
    def _places(self) -> dict[str, tuple[str, int]]:
        clips = self.clips
        return {
            str(name): (str(shard), int(row))
            for name, shard, row in zip(clips["clip_id"], clips["shard"], clips["row"], strict=True)
        }

    @cached_property
    def array_names(self) -> tuple[str, ...]:
        """The arrays that this export has: those of its format."""
        try:
            major, minor = (int(part) for part in str(self.manifest["format_version"]).split(".")[:2])
        except (KeyError, ValueError):
            return ARRAY_NAMES
        return tuple(array.name for array in ARRAYS if array.since <= (major, minor))

    def _shard(self, shard: str) -> ShardArrays:
        if shard in self._shards:
            self._shards.move_to_end(shard)
            return self._shards[shard]
        try:
            file = h5py.File(self.path / shard, "r")
        except OSError as error:
            raise ExportError(f"{self.path / shard}: cannot be opened: {error}. {_NEXT}") from error
        arrays = ShardArrays(file)
        missing = [name for name in self.array_names if name not in arrays]
        if missing:
            file.close()
            raise ExportError(f"{self.path / shard}: lacks {', '.join(missing)}. {_NEXT}")
        if CLIP_ID.name in file:  # not in shards of version 1
            try:
                self._check_rows(shard, [bytes(name).decode("ascii") for name in file[CLIP_ID.name][:]])
            except ExportError:
                file.close()
                raise
        self._shards[shard] = arrays
        if len(self._shards) > _OPEN_SHARDS:
            self._shards.popitem(last=False)[1].close()
        return arrays

    def _check_rows(self, shard: str, names: list[str]) -> None:
        """Refuse a shard whose rows are not the clips that ``clips.parquet`` says."""
        for clip_id, (place, row) in self._places.items():
            if place == shard and (row >= len(names) or names[row] != clip_id):
                held = names[row] if row < len(names) else "nothing"
                raise ExportError(f"{self.path / shard}: row {row} holds {held}, expected {clip_id}. {_NEXT}")

    def read(self, clip_id: str, names: tuple[str, ...] | None = None) -> dict[str, npt.NDArray[Any]]:
        """Read the arrays of one clip.

        Parameters
        ----------
        clip_id : str
        names : tuple of str
            Which arrays; :attr:`array_names`, all, by default.

        Returns
        -------
        dict of str to ndarray
            ``faces`` uint8 (F, 112, 112, 3) RGB, ``face_mask`` bool (F,), ``face_quality`` float32
            (F, Q) (not in formats before 1.2), ``eye`` float32 (C, E), ``eye_mask`` bool (C, E), ``fixations`` float32 (M, 4),
            ``fixation_mask`` bool (M,), ``fixation_map`` float32 (32, 32),
            ``gaze_points`` float32 (C, 2), ``gaze_points_mask`` bool (C,).

        Raises
        ------
        ExportError
            If there is no such clip, or its shard is damaged.
        """
        if clip_id not in self._places:
            raise ExportError(f"{self.path}: no clip '{clip_id}'. clips.parquet lists them.")
        shard, row = self._places[clip_id]
        arrays = self._shard(shard)
        try:
            return {name: arrays.read(name, row) for name in (self.array_names if names is None else names)}
        except KeyError as error:
            raise ExportError(
                f"{self.path / shard}: has no array {error}. Known: {', '.join(self.array_names)}."
            ) from None
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise ExportError(f"{self.path / shard}: row {row} cannot be read: {error}. {_NEXT}") from error
