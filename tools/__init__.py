"""What a fork need not read: emulators, the local stack, the rehearsal, and the makers of docs and pictures."""

from __future__ import annotations
