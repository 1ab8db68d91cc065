"""An audit as plain values, for machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contracts import reports
from contracts.adapters.made_up import CONSENT, MADE_UP
from contracts.clock import from_micros, to_rfc3339
from contracts.errors import SourceError
from contracts.events import EVENT_FIELDS, ITEM_FIELDS, NAMES, PURPOSES
from contracts.fields import money
from infra.audit.audit import Audit
from infra.audit.tally import Tally
from infra.audit.uses import Judged, judge

Report = dict[str, Any]


def report_of(found: Audit) -> Report:
    """Everything that was found, as plain values; shares are of 1."""
    tally = found.tally
    return {
        "data": {
            "files": [str(path) for path in found.files],
            "format": found.format.name,
            "guessed": found.guessed,
            "bytes": found.size,
            "made_up": MADE_UP.get(found.format.name, {}),
            "vouched": list(found.vouched),
        },
        "consent_made_up": is_consent_drawn(found),
        "seconds": round(found.seconds, 2),
        "rows": tally.lines,
        "accepted": {
            "events": tally.events, "items_described": len(tally.described), "profiles": tally.profiles.total(),
        },
        "dirt": [
            {"reason": reason, "records": count, "examples": tally.examples[reason]}
            for reason, count in tally.refused.most_common()
        ],
        "events": {name: tally.names[name] for name in NAMES},
        "fields": {
            "event": {one.wire_name: _share(tally.fields[one.name], tally.events) for one in EVENT_FIELDS},
            "item": {one.wire_name: _share(tally.item_fields[one.name], tally.items_named) for one in ITEM_FIELDS},
        },
        "span": span_of(tally),
        "shoppers": {
            "visitors": len(tally.visitors), "users": len(tally.actors), "buyers": len(tally.buyers),
            "sessions": len(tally.sessions),
            "sessions_with_2_events": sum(count > 1 for count in tally.sessions.values()),
            "items": len(tally.items),
        },
        "purchases": {
            "purchases": tally.names["purchase"], "refunds": tally.names["refund"],
            "revenue": {currency: money(minor) for currency, minor in sorted(tally.revenue.items())},
        },
        "consent": {purpose: tally.consent_of(purpose) for purpose in PURPOSES},
        "profiles": {"users": len(tally.profiled), "attributes": dict(sorted(tally.profiles.items()))},
        "uses": [_use(one) for one in judge(tally)],
    }  # fmt: skip


def span_of(tally: Tally) -> Report:
    """First and last time, the days between and those with events."""
    if tally.first is None or tally.last is None:
        return {"first": None, "last": None, "days": 0, "days_with_events": 0}
    first, last = (to_rfc3339(from_micros(at)) for at in (tally.first, tally.last))
    return {"first": first, "last": last, "days": tally.span_days, "days_with_events": len(tally.days)}


def _use(judged: Judged) -> Report:
    needs = [
        {"need": one.need.what, "minimum": one.need.minimum, "found": round(one.found, 4), "met": one.is_met}
        for one in judged.findings
    ]
    return {"use": judged.use.name, "gives": judged.use.gives, "possible": judged.is_possible, "needs": needs}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def write_report(path: Path, found: Audit) -> None:
    """Write the report with the commit, machine and time that every report carries.

    Raises:
        SourceError: the file cannot be written.
    """
    try:
        reports.write_report(path, reports.provenance() | report_of(found))
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error


def is_consent_drawn(found: Audit) -> bool:
    """Whether the adapter draws who consents, for want of a source that says it."""
    return MADE_UP.get(found.format.name, {}).get("consent") == CONSENT
