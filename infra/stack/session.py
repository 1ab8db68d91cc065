"""`python session.py NICENESS COMMAND …`: become that command, in a session of its own.

Where processes lie in no cgroup of their own, Linux shares the cores among sessions before it shares them among a session's threads
(autogroups), as it does among containers: a TaskManager with thirty threads that want to run counts once, and the scorer and Redis, with a
thread each, do not wait for all thirty. Niceness is the whole session's. supervisord has no setting for it, and `setsid` forks where the
leader of a group calls it, which supervisord makes each unit.
"""

import errno
import os
import sys
import time
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
TRIES, PAUSE_SECONDS = 20, 0.11


def yield_by(niceness: str) -> None:
    """Make the session yield; without autogroups nothing. The kernel takes one such wish each tenth of a second."""
    for _ in range(TRIES if AUTOGROUP.exists() else 0):
        try:
            AUTOGROUP.write_text(niceness)
            return
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    if os.getsid(0) != os.getpid():
        # Its parent's group: who leads one cannot begin a session.
        os.setpgid(0, os.getpgid(os.getppid()))
        os.setsid()
    if sys.argv[1] != "0":
        yield_by(sys.argv[1])
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the unit's own command
    except OSError as error:
        sys.exit(f"{sys.argv[2]} cannot be run: {error.strerror}")
