"""Follows the shop's policy: a changed file holds within a second; one that cannot be used is refused, and the last good one stays."""

from __future__ import annotations

import logging
from pathlib import Path

from contracts.errors import PolicyError
from contracts.policy import Policy, read_policy
from scorer.metrics import Metrics
from scorer.stamps import Stamp, stamp_of

LOG = logging.getLogger("scorer.policies")


class Policies:
    """The policy that holds: `policy` is replaced as a whole, never changed."""

    def __init__(self, path: Path, metrics: Metrics) -> None:
        """Raises PolicyError: a scorer does not start without one."""
        self._path, self._metrics = path, metrics
        self._stamp: Stamp | None = stamp_of(path)
        self._coming: Stamp | None = None
        self.policy: Policy = read_policy(path)

    def look(self) -> bool:
        """Read the file again if it changed, and did not change since the last look: whoever edits it in place may be half done.

        Whether another policy holds now.
        """
        stamp = stamp_of(self._path)
        settled, self._coming = stamp == self._coming, stamp
        if stamp == self._stamp or not settled:
            return False
        self._stamp = stamp
        try:
            policy = read_policy(self._path)
        except (PolicyError, RecursionError) as error:
            self._metrics.policies_refused.inc()
            LOG.error("policy refused; the last good one stays", extra={"cause": str(error)})
            return False
        changed, self.policy = policy != self.policy, policy
        if changed:
            LOG.info("policy holds", extra={"rules": len(policy.rules)})
        return changed
