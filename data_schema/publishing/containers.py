"""Take texts out of files that hide them: compressed, in columns, in attributes, in free pages.

Each reader yields parts: where in the file, the bytes, and whether they are text. A file may be several things at once; it is
read as it lies, too. What cannot be opened is named, never passed over in silence.
"""

from __future__ import annotations

import bz2
import contextlib
import io
import lzma
import pickletools
import re
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import av
import h5py
import numpy as np

#: What a reader gives: where, the bytes, whether they are text. A name of a column stands in `where`.
Part = tuple[str, bytes, bool]
Source = Path | bytes

#: Bytes that are looked at at once.
BLOCK = 8 << 20
#: Blocks overlap by this much, so that no identifier is cut: free texts have at most 4,096 bytes.
OVERLAP = 8 << 10
_PNG_TEXT = {b"tEXt", b"iTXt", b"zTXt"}
_PDF_STREAM = re.compile(rb"stream\r?\n")
#: 1904 is the epoch of MP4; a header with another time than 0 says when it was written.
_MP4_TIMES = re.compile(rb"(mvhd|tkhd|mdhd)(\x00...|\x01...)", re.DOTALL)
_CELLS = 20_000
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
#: Where a video says when it was made.
CREATION_TIME = "creation time"


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Read a file in overlapping blocks."""
    rest = b""
    while True:
        block = file.read(BLOCK)
        if not block:
            return
        yield rest + block
        rest = block[-OVERLAP:]


def opened(source: Source) -> IO[bytes]:
    """Open a file or bytes for reading."""
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def reader_of(head: bytes, name: str) -> Callable[[Source], Iterator[Part]] | None:
    """Return who can take a file apart, by its first bytes; None if it is no container that we know."""
    for magic, reader in _READERS:
        if head.startswith(magic):
            return reader
    if head[4:8] == b"ftyp":
        return _mp4
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return _pickle
    # An empty ZIP, or one behind something else, is known by its name.
    return _zip if name.endswith(".zip") else None


def _gzip(source: Source) -> Iterator[Part]:
    with opened(source) as file:
        yield from _gzip_head(file.read(1 << 12))
        file.seek(0)
        yield from _decoded(file, lambda: zlib.decompressobj(31))


def _gzip_head(head: bytes) -> Iterator[Part]:
    """Yield when a gzip file was written and the name and comment that it keeps (RFC 1952, 2.3)."""
    if len(head) < 10:
        return
    flags, seconds = struct.unpack_from("<xxxBI", head)
    if seconds:
        yield CREATION_TIME, _moment(seconds), True
    place = 10
    if flags & 4 and len(head) >= place + 2:
        place += 2 + int.from_bytes(head[place : place + 2], "little")
    for flag, what in ((8, "name"), (16, "comment")):
        if flags & flag:
            text, _, _ = head[place:].partition(b"\0")
            place += len(text) + 1
            yield what, text, True


def _moment(seconds: int) -> bytes:
    return str(np.datetime64(seconds, "s")).replace("T", " ").encode("ascii")


def _decoded(file: IO[bytes], new_decoder: Callable[[], Any]) -> Iterator[Part]:
    """Decompress a stream of one or several members, block by block."""
    rest, pending, decoder = b"", b"", new_decoder()
    while True:
        data = pending or file.read(1 << 20)
        if not data:
            return
        block = decoder.decompress(data, BLOCK) if hasattr(decoder, "unconsumed_tail") else decoder.decompress(data)
        pending = getattr(decoder, "unconsumed_tail", b"")
        if decoder.eof:
            pending = decoder.unused_data
            decoder = new_decoder()
        if block:
            yield "", rest + block, is_text(rest + block)
            rest = (rest + block)[-OVERLAP:]


def _bzip2(source: Source) -> Iterator[Part]:
    with opened(source) as file:
        yield from _decoded(file, bz2.BZ2Decompressor)


def _xz(source: Source) -> Iterator[Part]:
    with opened(source) as file:
        yield from _decoded(file, lzma.LZMADecompressor)


def _zstd(source: Source) -> Iterator[Part]:
    import pyarrow as pa

    with opened(source) as file, pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd") as stream:
        for block in blocks(stream):
            yield "", block, is_text(block)


def _zip(source: Source) -> Iterator[Part]:
    with opened(source) as file, zipfile.ZipFile(file) as archive:
        yield "comment", archive.comment, True
        for item in archive.infolist():
            yield f"{item.filename} (name)", item.filename.encode("utf-8", "replace"), True
            if item.is_dir():
                continue
            with archive.open(item) as member:
                for block in blocks(member):
                    yield item.filename, block, is_text(block)


def _parquet(source: Source) -> Iterator[Part]:
    import pyarrow.parquet as pq

    with opened(source) as raw, pq.ParquetFile(raw) as file:
        for key, value in (file.schema_arrow.metadata or {}).items():
            yield f"metadata {key.decode('utf-8', 'replace')}", value, True
        for field in file.schema_arrow:
            yield f"column {field.name} (name)", field.name.encode("utf-8"), True
            for value in (field.metadata or {}).values():
                yield f"column {field.name} (metadata)", value, True
        for batch in file.iter_batches(_CELLS):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                yield from _arrow(f"column {name}", column)


def _arrow_file(source: Source) -> Iterator[Part]:
    import pyarrow as pa

    with opened(source) as raw, pa.ipc.open_file(raw) as file:
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                yield from _arrow(f"column {name}", column)


def _arrow(where: str, column: Any) -> Iterator[Part]:
    """Yield the texts and bytes of an Arrow array, whatever it is nested in."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        yield from _arrow(where, column.dictionary)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield where, "\n".join(text for text in column.unique().to_pylist() if text is not None).encode("utf-8"), True
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        yield where, "\n".join(str(moment) for moment in column.unique().to_pylist() if moment).encode("ascii"), True
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        for content in column.to_pylist():
            if content:
                yield where, content, is_text(content)
    elif pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _arrow(f"{where}.{kind.field(number).name}", column.field(number))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _arrow(where, column.flatten())
    elif pa.types.is_map(kind):
        yield from _arrow(where, column.keys)
        yield from _arrow(where, column.items)


def _hdf5(source: Source) -> Iterator[Part]:
    with contextlib.ExitStack() as stack:
        # Without a lock: a file that is read elsewhere can be searched all the same.
        place = source if isinstance(source, Path) else stack.enter_context(io.BytesIO(source))
        options = {"locking": False} if isinstance(source, Path) else {}
        file = stack.enter_context(h5py.File(place, "r", **options))
        names: list[str] = []
        file.visit(names.append)
        for name in ("/", *names):
            yield f"/{name.strip('/')} (name)", name.encode("utf-8"), True
            item = file[name]
            for key, value in item.attrs.items():
                yield f"/{name.strip('/')} attribute {key}", _flat(np.asarray(value)), True
            if isinstance(item, h5py.Dataset):
                yield from _dataset(f"/{name.strip('/')}", item)


def _dataset(where: str, dataset: h5py.Dataset) -> Iterator[Part]:
    """Yield the texts of a dataset, in blocks; bytes as they are. Columns of numbers hold no text."""
    kind = dataset.dtype
    if dataset.shape == () or not dataset.size:
        if kind.kind in "SO" and dataset.size:
            yield where, _flat(np.asarray(dataset[()])), True
        return
    fields = [name for name in kind.names or () if kind[name].base.kind in "SO"]
    rows = max(1, min(int(dataset.shape[0]), BLOCK // max(1, kind.itemsize)))
    if kind.kind in "SO":
        for start in range(0, int(dataset.shape[0]), rows):
            yield where, _flat(dataset[start : start + rows]), True
    elif fields:
        for start in range(0, int(dataset.shape[0]), rows):
            table = dataset[start : start + rows]
            for name in fields:
                yield f"{where} column {name}", _flat(np.unique(table[name])), True
    elif kind.kind in "uV" and kind.itemsize == 1 and dataset.ndim == 1:
        for start in range(0, int(dataset.shape[0]), BLOCK):
            content = dataset[max(0, start - OVERLAP) : start + BLOCK].tobytes()
            yield where, content, is_text(content)


def _flat(values: Any) -> bytes:
    """Return texts one a line."""
    flat = np.asarray(values).reshape(-1).tolist()
    lines = [item if isinstance(item, bytes) else str(item).encode("utf-8", "replace") for item in flat]
    return b"\n".join(lines)


def _sqlite(source: Source) -> Iterator[Part]:
    with contextlib.ExitStack() as stack:
        if isinstance(source, Path):
            text = source.resolve().as_posix()
            log = source.with_name(source.name + "-wal")
            # Rows that stand in the log beside the file alone are found, too. Who only reads leaves files behind there, and
            # without a log none are wanted.
            mode = "mode=rw" if log.is_file() and log.stat().st_size else "mode=ro&immutable=1"
            uri = f"file://{quote(text if text.startswith('/') else '/' + text)}?{mode}"
            connection = stack.enter_context(contextlib.closing(sqlite3.connect(uri, uri=True)))
            connection.execute("PRAGMA query_only=ON")
        else:
            connection = stack.enter_context(contextlib.closing(sqlite3.connect(":memory:")))
            restore = getattr(connection, "deserialize", None)
            if restore is None:
                raise ValueError("a database within another file is looked into from Python 3.11 on")
            restore(source)
        connection.text_factory = bytes
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in tables:
            quoted = name.decode("utf-8").replace('"', '""')
            cursor = connection.execute(f'SELECT * FROM "{quoted}"')
            columns = [entry[0] for entry in cursor.description]
            while rows := cursor.fetchmany(_CELLS):
                for place, column in enumerate(columns):
                    cells = {row[place] for row in rows if isinstance(row[place], bytes)}
                    joined = b"\n".join(sorted(cells))
                    yield f"table {name.decode('utf-8', 'replace')} column {column}", joined, is_text(joined)


def _png(source: Source) -> Iterator[Part]:
    with opened(source) as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            content = file.read(length) if kind in _PNG_TEXT else None
            if content is None:
                file.seek(length, io.SEEK_CUR)
            else:
                yield kind.decode("ascii"), content, True
                place = content.find(b"\x78")
                while place >= 0:
                    with contextlib.suppress(zlib.error):
                        yield kind.decode("ascii"), zlib.decompress(content[place:]), True
                        break
                    place = content.find(b"\x78", place + 1)
            file.seek(4, io.SEEK_CUR)


def _pdf(source: Source) -> Iterator[Part]:
    with opened(source) as file:
        content = file.read()
    for match in _PDF_STREAM.finditer(content):
        with contextlib.suppress(zlib.error):
            text = zlib.decompressobj().decompress(content[match.end() :])
            yield "stream", text, is_text(text)


def _mp4(source: Source) -> Iterator[Part]:
    # Long texts are found as the file lies; what is hidden is when it was made, and a title of one word.
    with contextlib.suppress(av.FFmpegError), opened(source) as file, av.open(file, metadata_errors="replace") as video:
        for metadata in (video.metadata, *(stream.metadata for stream in video.streams)):
            for key, value in metadata.items():
                yield f"metadata {key}", value.encode("utf-8", "replace"), True
    with opened(source) as file:
        for block in blocks(file):
            for match in _MP4_TIMES.finditer(block):
                wide = match.group(2)[:1] == b"\x01"
                stamp = block[match.end() : match.end() + (8 if wide else 4)]
                if len(stamp) in (4, 8) and any(stamp):
                    seconds = int.from_bytes(stamp, "big") - 2_082_844_800
                    if 0 < seconds < 1 << 33:
                        yield CREATION_TIME, _moment(seconds), True


def _pickle(source: Source) -> Iterator[Part]:
    texts = []
    with opened(source) as file:
        # Reads the instructions and runs none of them.
        for _, argument, _ in pickletools.genops(file):
            if isinstance(argument, str):
                texts.append(argument.encode("utf-8", "replace"))
            elif isinstance(argument, bytes):
                texts.append(argument)
    yield "", b"\n".join(texts), True


_READERS: tuple[tuple[bytes, Callable[[Source], Iterator[Part]]], ...] = (
    (b"\x1f\x8b", _gzip),
    (b"BZh", _bzip2),
    (b"\xfd7zXZ\x00", _xz),
    (b"\x28\xb5\x2f\xfd", _zstd),
    (b"PK\x03\x04", _zip),
    (b"PK\x05\x06", _zip),
    (b"PAR1", _parquet),
    (b"ARROW1", _arrow_file),
    (b"\x89HDF\r\n\x1a\n", _hdf5),
    (b"SQLite format 3\x00", _sqlite),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"%PDF-", _pdf),
)


def is_text(content: bytes) -> bool:
    """Tell whether bytes are text, in UTF-8 (their ends may be cut) or with one byte a letter, as spreadsheets still save it."""
    head = content[: 1 << 16]
    # Characters that the ends cut are no sign of anything.
    start = next((place for place in range(4) if not 0x80 <= (head[place : place + 1] or b" ")[0] < 0xC0), 0)
    if b"\x00" in head:
        return False
    try:
        head[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        cut = error.start + start >= len(head) - 3 and len(head) > 8
        # One byte in nine of compressed data or numbers is a control character.
        return cut or not _CONTROL.search(head)
    return True
