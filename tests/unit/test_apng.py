"""Pictures chained into an animation."""

from __future__ import annotations

import struct
import zlib
from datetime import timedelta

import pytest

from tools.docs_and_samples.apng import animated


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def picture(shade: int, *, width: int = 4, height: int = 3) -> bytes:
    """A grey PNG whose data lies in two chunks."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress((b"\0" + bytes([shade]) * width) * height)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", data[:5]), chunk(b"IDAT", data[5:]), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        name, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", content, at + 8 + length) == (zlib.crc32(name + data),)
        found.append((name, data))
        at += length + 12
    return found


def test_each_picture_is_a_frame_with_its_time() -> None:
    frames = [(picture(10), timedelta(milliseconds=250)), (picture(200), timedelta(seconds=100))]
    found = chunks(animated(frames))
    names = [name for name, _ in found]
    assert names == [b"IHDR", b"acTL", b"fcTL", b"IDAT", b"IDAT", b"fcTL", b"fdAT", b"fdAT", b"IEND"]
    assert struct.unpack(">II", found[1][1]) == (2, 0)
    controls = [struct.unpack(">IIIIIHHBB", data) for name, data in found if name == b"fcTL"]
    assert [(control[1:3], control[5:7]) for control in controls] == [((4, 3), (250, 1000)), ((4, 3), (65_535, 1000))]
    numbers = [struct.unpack(">I", data[:4])[0] for name, data in found if name in (b"fcTL", b"fdAT")]
    assert numbers == [0, 1, 2, 3]
    second = zlib.decompress(b"".join(data[4:] for name, data in found if name == b"fdAT"))
    assert second == (b"\0" + bytes([200]) * 4) * 3


def test_pictures_of_two_sizes_make_no_animation() -> None:
    with pytest.raises(ValueError, match="have 2"):
        animated([(picture(1), timedelta()), (picture(1, width=5), timedelta())])
    with pytest.raises(ValueError, match="have 0"):
        animated([])
    with pytest.raises(ValueError, match="no PNG"):
        animated([(b"GIF89a", timedelta())])
