"""Chains PNG pictures of one size into an animated PNG, which browsers and GitHub play."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from io import BytesIO

from PIL import Image

#: Limits of the format.
_MAX_MILLISECONDS = 65_535


def animated(frames: Sequence[tuple[bytes, timedelta]]) -> bytes:
    """Return an endless animation of these pictures, each shown for its time.

    Raises ValueError unless there are pictures, all of one size; `OSError` for what is not a picture.
    """
    pictures = [Image.open(BytesIO(picture)).convert("RGB") for picture, _ in frames]
    if len(sizes := {picture.size for picture in pictures}) != 1:
        raise ValueError(f"The pictures of an animation must have the same size; these have {len(sizes)} sizes.")
    durations = [min(_MAX_MILLISECONDS, round(time / timedelta(milliseconds=1))) for _, time in frames]
    found = BytesIO()
    pictures[0].save(
        found, "PNG", save_all=True, append_images=pictures[1:], duration=durations, loop=0, default_image=False
    )
    return found.getvalue()
