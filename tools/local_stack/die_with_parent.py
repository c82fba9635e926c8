"""Replaces itself with a program that ends with the process that started it (on Linux; elsewhere it just runs it).

    python -I -S die_with_parent.py PARENT_PID DEATH_SIGNAL ACCOUNT PROGRAM [ARGUMENT ...]

ACCOUNT is UID:GID, or - to stay who we are. It is a separate program because what runs between fork and exec must not
be Python code of a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, account, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    if account != "-":
        uid, gid = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After changing the account, which resets the setting.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            sys.exit("the process that started this one has ended")
    # A shell without job control ignores it in background processes, and programs inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execv(program[0], program)  # noqa: S606 - becoming another program is the purpose
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
