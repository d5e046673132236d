"""Read exported tables of text in blocks: any encoding, delimiter and decimal sign, flat memory.

Other systems export tables of hundreds of megabytes. A table is read in blocks of whole lines; only the columns
that are asked for are converted, by Arrow's parser. Every mistake in the file is told with its line.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from data_schema.errors import DataImportError

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

#: Bytes read at once. Chosen by us: about 10,000 lines of a full Pro Lab export, and a peak below 100 MB.
BLOCK_BYTES = 4 << 20
#: A line longer than this is no line of a table.
_MAX_LINE_BYTES = 16 << 20

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_EMPTY = ["", "NaN", "nan", "NAN", "NA", "N/A", "-", "null", "None"]
_GZIP, _ZIP, _OLD_EXCEL = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True)
class TextColumn:
    """Cells of one text column of a block.

    Parameters
    ----------
    codes : ndarray of int64, shape (n_rows,)
        Place in `values`; -1 for an empty cell.
    values : tuple of str
    """

    codes: Int
    values: tuple[str, ...]

    def equals(self, test: Callable[[str], bool]) -> npt.NDArray[np.bool_]:
        """Tell for each row whether its text passes `test`; empty cells do not."""
        passes = np.array([test(value) for value in self.values] + [False], dtype=np.bool_)
        return np.asarray(passes[self.codes], dtype=np.bool_)

    def at(self, row: int) -> str:
        """Return the text of a row; empty if the cell is."""
        code = int(self.codes[row])
        return self.values[code] if code >= 0 else ""

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Tell for each row whether the cell holds text."""
        return np.asarray(self.codes >= 0, dtype=np.bool_)


@dataclass(frozen=True)
class Block:
    """Some rows of a table.

    Parameters
    ----------
    first_row : int
        Number of the first row, from 0 below the header.
    n_rows : int
    numbers : dict of int to ndarray of float64, shape (n_rows,)
        By column number; NaN where a cell is empty.
    texts : dict of int to TextColumn
    done_bytes : int
        Bytes of the file read so far (packed ones, if it is packed).
    """

    first_row: int
    n_rows: int
    numbers: dict[int, Float]
    texts: dict[int, TextColumn]
    done_bytes: int


class TextTable:
    """One exported table.

    Parameters
    ----------
    path : Path
        Text, or text packed with gzip.

    Raises
    ------
    DataImportError
        If the file is missing, empty, a workbook, not text, or has no header.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        #: True once the last line turned out to be cut off; it is left out.
        self.truncated = False
        self._decimal_known = False
        try:
            self.size_bytes = self.path.stat().st_size
            with self.path.open("rb") as stream:
                first = stream.read(4)
        except OSError as error:
            raise DataImportError(
                f"{self.path}: cannot be read: {error.strerror or error}. Check the name and your rights."
            ) from error
        if first in (_ZIP, _OLD_EXCEL):
            raise self._error(
                "this is an Excel workbook. Export the recording again as text (.tsv): Excel rounds time stamps and "
                "turns numbers into dates."
            )
        self._packed = first[:2] == _GZIP
        self._sniff()

    def _error(self, message: str) -> DataImportError:
        return DataImportError(f"{self.path.name}: {message}")

    # ------------------------------------------------------------------ header

    def _sniff(self) -> None:
        with self._open() as stream:
            head = self._read(stream, 1 << 18)
        if not head.strip():
            raise self._error("the file is empty. Export the recording again, or copy it again.")
        self.encoding, self._n_bom = _encoding(head)
        text = head[self._n_bom :]
        usable = text[: len(text) // 2 * 2] if self.encoding.startswith("utf-16") else text
        decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        try:
            start = decoder.decode(usable)
        except UnicodeDecodeError as error:
            raise self._error(_not_text(self.encoding, error)) from error
        lines = start.split("\n")
        place = next((number for number, line in enumerate(lines) if line.strip()), 0)
        if place == len(lines) - 1 and len(head) >= 1 << 18:
            raise self._error(
                "the first line is longer than 262,144 bytes: this is no table. Name the exported .tsv file."
            )
        self._n_skipped_lines = place
        header = lines[place].rstrip("\r")
        self.delimiter = max("\t;,", key=header.count)
        if self.delimiter not in header:
            raise self._error(
                f"the first line holds one column, '{header[:60]}'. Expected a header with columns separated by tabs. "
                "Export the recording again and leave the file as it is."
            )
        self.quoted = '"' in header or self.delimiter != "\t"
        names = [name.strip().strip('"').strip() for name in header.split(self.delimiter)]
        #: Names of the columns as the file has them.
        self.header: tuple[str, ...] = tuple(names)
        data = next((line.rstrip("\r") for line in lines[place + 1 :] if line.strip()), "")
        #: Some exports end every row, but not the header, with a delimiter.
        n_cells = data.count(self.delimiter) + 1
        self._n_columns = len(names) + (
            1 if not self.quoted and n_cells == len(names) + 1 and data.endswith(self.delimiter) else 0
        )
        self.decimal = "."

    # ------------------------------------------------------------------ bytes

    def _open(self) -> Any:
        self._raw = self.path.open("rb")
        if not self._packed:
            return self._raw
        return _Closing(gzip.GzipFile(fileobj=self._raw, mode="rb"), self._raw)

    def _read(self, stream: Any, n: int) -> bytes:
        try:
            return bytes(stream.read(n))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._error(f"the packed file is cut off or damaged ({error}). Copy it again.") from error
        except OSError as error:
            raise self._error(f"reading failed: {error.strerror or error}. Copy the file to a local disk.") from error

    def _lines(self) -> Iterator[tuple[bytes, int]]:
        """Yield UTF-8 text of whole lines, header first, and the bytes read so far."""
        with self._open() as stream:
            self._read(stream, self._n_bom)
            wide = self.encoding.startswith("utf-16")
            decoder = codecs.getincrementaldecoder(self.encoding)("strict")
            rest = b""
            while True:
                raw = self._read(stream, BLOCK_BYTES)
                text = raw
                if wide:
                    try:
                        text = decoder.decode(raw, final=not raw).encode("utf-8")
                    except UnicodeDecodeError as error:
                        if raw:
                            raise self._error(_not_text(self.encoding, error)) from error
                        # Half a character at the very end: the file was cut off there.
                        text = b""
                        self.truncated = True
                if not raw:
                    break
                end = text.rfind(b"\n") + 1
                if not end:
                    rest += text
                    if len(rest) > _MAX_LINE_BYTES:
                        raise self._error("a line is longer than 16 MB: this is no table. Name the exported .tsv file.")
                    continue
                yield rest + text[:end], self._raw.tell()
                rest = text[end:]
            if rest.strip():
                yield rest, self._raw.tell()

    # ------------------------------------------------------------------ rows

    def blocks(self, numbers: Sequence[int], texts: Sequence[int]) -> Iterator[Block]:
        """Read the table once, block by block.

        Parameters
        ----------
        numbers, texts : sequence of int
            Columns to convert to numbers and to text.

        Yields
        ------
        Block

        Raises
        ------
        DataImportError
            If a cell of a number column is no number, a row has too many or too few cells, or the text cannot be decoded.
        """
        row = 0
        to_skip = self._n_skipped_lines + 1
        for body, done in self._lines():
            while to_skip and body:
                cut = body.find(b"\n") + 1
                body, to_skip = (body[cut:] if cut else b""), to_skip - 1
            if not body.endswith(b"\n") and not self.quoted:
                body = self._without_cut_line(body)
            if not body.strip():
                continue
            table = self._parse(body, numbers, texts, row)
            found = {number: _floats(table.column(f"c{number}")) for number in numbers}
            if not self._decimal_known and any(
                np.any(values[np.isfinite(values)] % 1.0 > 0) for values in found.values()
            ):
                self._decimal_known = True
            words = {number: _words(table.column(f"c{number}")) for number in texts}
            if table.num_rows:
                yield Block(row, table.num_rows, found, words, done)
            row += table.num_rows

    def _without_cut_line(self, body: bytes) -> bytes:
        start = body.rfind(b"\n") + 1
        if body[start:].count(self.delimiter.encode()) + 1 >= self._n_columns:
            return body
        self.truncated = True
        return body[:start]

    def line_of(self, row: int) -> int:
        """Return the line of the file, from 1, on which a row stands."""
        return row + self._n_skipped_lines + 2

    def _parse(self, body: bytes, numbers: Sequence[int], texts: Sequence[int], row: int) -> Any:
        try:
            return self._convert(body, numbers, texts, row, self.decimal)
        except pa.ArrowInvalid as error:
            reason = error
        if "UTF8" in str(reason):
            raise self._error(
                f"near line {self.line_of(row)}: the text is not UTF-8. Export it again, or save it as UTF-8 or UTF-16."
            ) from reason
        other = "." if self.decimal == "," else ","
        if other != self.delimiter and not self._decimal_known:
            try:
                table = self._convert(body, numbers, texts, row, other)
            except pa.ArrowInvalid:
                pass
            else:
                self.decimal, self._decimal_known = other, True
                return table
        raise self._bad_cell(body, numbers, row) from reason

    def _convert(self, body: bytes, numbers: Sequence[int], texts: Sequence[int], row: int, decimal: str) -> Any:
        odd: list[tuple[int, int]] = []

        def keep_count(bad: Any) -> str:
            odd.append((int(bad.number or 0), int(bad.actual_columns)))
            return "skip"

        words = pa.dictionary(pa.int32(), pa.string())
        types = {f"c{number}": pa.float64() for number in numbers} | {f"c{number}": words for number in texts}
        table = arrow_csv.read_csv(
            pa.BufferReader(body),
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=len(body) + 1, column_names=[f"c{n}" for n in range(self._n_columns)]
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.delimiter, quote_char='"' if self.quoted else False, invalid_row_handler=keep_count
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(types), column_types=types, null_values=_EMPTY, strings_can_be_null=True,
                quoted_strings_can_be_null=True, decimal_point=decimal,
            ),
        )  # fmt: skip
        last_is_cut = len(odd) == 1 and odd[0][1] < self._n_columns and not body.endswith(b"\n")
        if last_is_cut:
            self.truncated = True
        elif odd:
            number, n_cells = odd[0]
            raise self._error(
                f"line {self.line_of(row) + max(number - 1, 0)} has {n_cells} cells, but the header has {self._n_columns}. "
                "The file was probably edited or joined from several exports. Export the recording again."
            )
        return table

    def _bad_cell(self, body: bytes, numbers: Sequence[int], row: int) -> DataImportError:
        """Find the first cell that is no number and say where it is."""
        table = self._convert(body, [], numbers, row, self.decimal)
        for number in numbers:
            words = _words(table.column(f"c{number}"))
            for code, word in enumerate(words.values):
                if not _is_number(word, self.decimal):
                    line = self.line_of(row + int(np.flatnonzero(words.codes == code)[0]))
                    other = "." if self.decimal == "," else ","
                    hint = "decimal signs are mixed" if _is_number(word, other) else "expected a number"
                    return self._error(
                        f"line {line}, column '{self.header[number]}': '{word[:40]}': {hint}. A spreadsheet program may "
                        "have changed the file. Export the recording again and leave the file as it is."
                    )
        return self._error(f"near line {self.line_of(row)}: a number cannot be read. Export the recording again.")


class _Closing:
    """A packed stream that closes the file below it, too."""

    def __init__(self, stream: Any, below: Any) -> None:
        self._stream, self._below = stream, below

    def __enter__(self) -> Any:
        return self._stream

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._below.close()


def _encoding(head: bytes) -> tuple[str, int]:
    """Return the encoding and the length of the byte order mark."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name, len(mark)
    # Without a mark: Latin text in UTF-16 has a zero in every other byte.
    sample = head[:4096]
    if len(sample) > 3 and sample[1::2].count(0) > len(sample) // 4:
        return "utf-16-le", 0
    if len(sample) > 3 and sample[0::2].count(0) > len(sample) // 4:
        return "utf-16-be", 0
    return "utf-8", 0


def _not_text(encoding: str, error: UnicodeDecodeError) -> str:
    return (
        f"the text is not {encoding.upper()} (byte {error.start}: {error.reason}). Export the recording again, or save the "
        "file as UTF-8 or UTF-16 (in a text editor, not in Excel)."
    )


def _is_number(word: str, decimal: str) -> bool:
    if decimal == "," and "." in word:
        return False
    try:
        float(word.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _floats(column: Any) -> Float:
    return np.asarray(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy(), dtype=np.float64
    )


def _words(column: Any) -> TextColumn:
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        if joined.num_chunks == 0:
            return TextColumn(np.zeros(0, dtype=np.int64), ())
        joined = joined.chunk(0)
    codes = pc.fill_null(joined.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return TextColumn(codes, tuple(str(value).strip() for value in joined.dictionary.to_pylist()))
