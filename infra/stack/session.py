"""`python session.py COMMAND …`: become that command, in a session of its own.

Where processes lie in no cgroup of their own, Linux shares the cores among sessions before it shares them among a session's threads
(autogroups), as it does among containers: a TaskManager with thirty threads that want to run counts once, and the scorer and Redis, with a
thread each, do not wait for all thirty. supervisord has no setting for it, and `setsid` forks where the leader of a group calls it, which
supervisord makes each unit.
"""

import os
import sys

if __name__ == "__main__":
    if os.getsid(0) != os.getpid():
        # Its parent's group: who leads one cannot begin a session.
        os.setpgid(0, os.getpgid(os.getppid()))
        os.setsid()
    try:
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the unit's own command
    except OSError as error:
        sys.exit(f"{sys.argv[1]} cannot be run: {error.strerror}")
