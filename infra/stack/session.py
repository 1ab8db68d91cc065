"""`python session.py COMMAND …`: become that command, in a session of its own.

Linux shares the processors among sessions before it shares them among a session's threads (autogroups), as it does among containers: a
TaskManager with thirty threads that want to run is one of them, and the scorer and Redis, with a thread each, do not wait for all thirty.
supervisord has no setting for it, and `setsid` forks where it is called by the leader of a group, which supervisord makes each unit.
"""

import os
import sys

if __name__ == "__main__":
    # Its parent's group: who leads one cannot begin a session.
    os.setpgid(0, os.getpgid(os.getppid()))
    os.setsid()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the unit's own command
