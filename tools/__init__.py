"""What a fork need not read: emulators, the local stack, the rehearsal, and generators of docs and screenshots."""

from __future__ import annotations
