"""Pictures chained into an animation."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image, ImageSequence

from tools.docs_and_samples.apng import animated


def picture(shade: int, *, width: int = 4) -> bytes:
    found = BytesIO()
    Image.new("RGB", (width, 3), (shade, shade, shade)).save(found, "PNG")
    return found.getvalue()


def test_each_picture_is_a_frame_with_its_time() -> None:
    content = animated([(picture(10), timedelta(milliseconds=250)), (picture(200), timedelta(seconds=100))])
    with Image.open(BytesIO(content)) as animation:
        frames = [
            (frame.convert("RGB").getpixel((1, 1)), frame.info["duration"])
            for frame in ImageSequence.Iterator(animation)
        ]
        assert animation.info["loop"] == 0
    assert frames == [((10, 10, 10), 250), ((200, 200, 200), 65_535)]
    assert content.count(b"IDAT") == 1, "the first picture is what programs show that know no animations"


def test_pictures_of_two_sizes_make_no_animation() -> None:
    with pytest.raises(ValueError, match="have 2"):
        animated([(picture(1), timedelta()), (picture(1, width=5), timedelta())])
    with pytest.raises(ValueError, match="have 0"):
        animated([])
    with pytest.raises(OSError, match="cannot identify"):
        animated([(b"GIF89a", timedelta())])
