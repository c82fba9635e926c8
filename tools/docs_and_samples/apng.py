"""Chains PNG pictures of one size into an animated PNG, which browsers and GitHub play."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from datetime import timedelta

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def animated(frames: Sequence[tuple[bytes, timedelta]]) -> bytes:
    """Return the animation of these pictures, each shown for its time, over and over.

    Raises ValueError unless there are pictures, all of one size and kind.
    """
    headers = {_header(picture) for picture, _ in frames}
    if len(headers) != 1:
        raise ValueError(f"An animation needs pictures of one size and kind; these have {len(headers)}.")
    (header,) = headers
    size = struct.unpack(">II", header[:8])
    parts = [_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"acTL", struct.pack(">II", len(frames), 0))]
    sequence = 0
    for index, (picture, shown_for) in enumerate(frames):
        milliseconds = min(65_535, round(shown_for / timedelta(milliseconds=1)))
        control = struct.pack(">IIIIIHHBB", sequence, *size, 0, 0, milliseconds, 1000, 0, 0)
        parts.append(_chunk(b"fcTL", control))
        sequence += 1
        for data in _data(picture):
            if index == 0:  # which is also what programs show that know no animations
                parts.append(_chunk(b"IDAT", data))
                continue
            parts.append(_chunk(b"fdAT", struct.pack(">I", sequence) + data))
            sequence += 1
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _header(picture: bytes) -> bytes:
    return next(data for name, data in _chunks(picture) if name == b"IHDR")


def _data(picture: bytes) -> Iterator[bytes]:
    return (data for name, data in _chunks(picture) if name == b"IDAT")


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not picture.startswith(_SIGNATURE):
        raise ValueError("This is no PNG.")
    at = len(_SIGNATURE)
    while at < len(picture):
        (length,) = struct.unpack_from(">I", picture, at)
        yield picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
