"""Reads users' CSV files in pieces: linear in time, with one row in memory at a time."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

from queued_jobs import PermanentError

#: Delimiters that are found without a line `sep=`, with the names that users read.
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}

#: In characters.
_MAX_LINE = 1024 * 1024
#: The delimiter is found in the first lines.
_SAMPLE_LINES = 20
_SAMPLE_LENGTH = 64 * 1024
#: After a field above this limit, the reader would read the rest of the field as rows.
csv.field_size_limit(_MAX_LINE)

#: How spreadsheets name the delimiter of the file.
_SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*', re.IGNORECASE)


class NotCsv(PermanentError):
    """A file cannot be read as CSV with a header."""


class Records:
    """The rows of a file, each with the line where it ends and its syntax error, or "".

    Rows without fields are omitted. Raises `NotCsv` for a row that is too long.

    Attributes
    ----------
    delimiter, line_end
        Known after the first row was read.
    offset, line
        Where the next row begins: the bytes, without a byte order mark, and the lines before it.
    """

    def __init__(self, text: Iterator[str], file: str) -> None:
        self._text = text
        self._file = file
        self._length = 0
        self._records = self._read()
        self.delimiter = ","
        self.line_end = "\n"
        self.offset = self.line = 0

    def __iter__(self) -> Iterator[tuple[int, list[str], str]]:
        return self._records

    def go_to(self, text: Iterator[str], *, offset: int, line: int) -> None:
        """Continue with the text that begins at this place. Call it after `header`."""
        self.offset, self.line = offset, line
        self._records = self._rows(text)

    def header(self) -> list[str]:
        """Read the first row: the names of the columns. Raises `NotCsv` if they cannot be used."""
        line, header, problem = next(self._records, (1, [], ""))
        self._refuse(line, problem or text_problem("".join(header)))
        if not any(header):
            raise NotCsv(f"{self._file} has no header line with column names.")
        if len(set(header)) < len(header):
            raise NotCsv(f"{self._file} has two columns with the same name.")
        return header

    def _read(self) -> Iterator[tuple[int, list[str], str]]:
        beginning = self._beginning()
        # before the syntax, which another encoding breaks too
        self._refuse(1, text_problem(beginning[0]))
        named = _SEP_LINE.fullmatch(beginning[0])
        self.delimiter = named[1] if named else find_delimiter(beginning)
        self.line_end = "\r" if beginning[0].endswith("\r") else "\n"
        text = chain(beginning, self._text)
        if named:
            self._pass(next(text))
        yield from self._rows(text)

    def _rows(self, text: Iterator[str]) -> Iterator[tuple[int, list[str], str]]:
        reader = csv.reader(self._counted(text), delimiter=self.delimiter, strict=True)
        while True:
            self._length = 0
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                # what follows the dash is for programmers
                yield self.line, [], f"It is not valid CSV: {str(error).partition(' - ')[0]}."
            else:
                if row:
                    yield self.line, row, ""

    def _beginning(self) -> list[str]:
        found: list[str] = []
        length = 0
        for line in self._text:
            found.append(line)
            length += len(line)
            if len(found) == _SAMPLE_LINES or length > _SAMPLE_LENGTH:
                break
        return found or [""]

    def _refuse(self, line: int, problem: str) -> None:
        if problem:
            raise NotCsv(f"{self._file}, line {line}: {problem} Fix the file, or save it as CSV in UTF-8.")

    def _counted(self, text: Iterable[str]) -> Iterator[str]:
        for line in text:
            self._length += len(line)
            if self._length > _MAX_LINE:
                raise NotCsv(f"{self._file} has a row of more than {_MAX_LINE:,} characters.")
            self._pass(line)
            yield line

    def _pass(self, line: str) -> None:
        self.offset += len(line) if line.isascii() else len(line.encode("utf-8", "surrogateescape"))
        self.line += 1


def lines(pieces: Iterable[bytes], file: str, *, line_end: str = "") -> Iterator[str]:
    """Yield the lines with their ends. Raises `NotCsv` for a line that is too long.

    Bytes that are not UTF-8 become surrogates, which `text_problem` finds. A file without any LF has lines that end
    with CR. For pieces that do not begin at the file's begin, pass its `line_end`.
    """
    decoder = codecs.getincrementaldecoder("utf-8" if line_end else "utf-8-sig")(errors="surrogateescape")
    begun: list[str] = []  # parts of a line that ends in a later piece
    length = 0
    for piece in pieces:
        text = decoder.decode(piece)
        # the last character may be the first half of CR LF
        line_end = line_end or ("\r" if "\r" in text[:-1] and "\n" not in text else "\n")
        *ends, rest = text.split(line_end)
        for end in ends:
            yield f"{''.join(begun)}{end}{line_end}"
            begun, length = [], 0
        begun.append(rest)
        length += len(rest)
        if length > _MAX_LINE:
            raise NotCsv(f"{file} has a line of more than {_MAX_LINE:,} characters.")
    last = "".join([*begun, decoder.decode(b"", final=True)])
    if last:
        yield last


def find_delimiter(sample: list[str]) -> str:
    """Return the delimiter by which most rows have as many fields as the first row, at least two; else a comma.

    The sniffer of the standard library takes quadratic time, and does not look at whole rows.
    """

    def fitness(delimiter: str) -> tuple[bool, float, bool, int]:
        rows: list[list[str]] = []
        with suppress(csv.Error):  # a field that is too long
            rows.extend(row for row in csv.reader(sample, delimiter=delimiter) if row)
        if not rows:
            return False, 0, False, 0
        width = len(rows[0])
        alike = sum(len(row) == width for row in rows) / len(rows)
        # a comma before a space is more often one of the text
        return width > 1, alike, not any(name.startswith(" ") for name in rows[0]), width

    return max(DELIMITERS, key=fitness)


def text_problem(text: str) -> str:
    """Return why this cannot be the text of a file in UTF-8, or ""."""
    if "\0" in text:
        return "It is not UTF-8 text: it contains NUL characters, as UTF-16 does."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "It is not UTF-8."
    return ""
