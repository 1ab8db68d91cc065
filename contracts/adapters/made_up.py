"""What no source of ours has, drawn without chance: consent by a stable hash, times within a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from contracts.adapters.wire import Record

DENY_SHARE = 0.1
MINUTE_MICROS = 60 * 1_000_000
CONSENT = (
    "drawn per shopper by a stable hash; 10 % deny personalization, email and push together, the rest grant "
    "them; analytics is granted, ads unknown, chosen before the first event"
)
UNKNOWN = "which grants nothing; what the shop vouches for (--vouch) counts as granted unless it was denied"
CHOICE_TIME = (
    "a choice counts from the first event that shows it, in files read in order from the first; an event that says "
    "nothing keeps the last choice, of whichever day"
)
PAUSES = "where there is none, a pause of 30 minutes begins a session"
MADE_UP = {
    "online-retail": {
        "times within the minute": "the source gives minutes; its lines are spread evenly over their minute in "
        "file order; the shop's local time is read as UTC",
        "consent": CONSENT,
        "sessions": "each invoice is one; the order of its lines stands for the order of adding",
        "availability": "what was sold is in stock; the quantity is unknown",
        "platform": "web",
    },
    "rees46": {
        "consent": CONSENT,
        "titles": "brand, last part of the category and product id, for the source has none",
        "currency": "US dollars; the source does not say",
        "visitors": "one device a user",
        "availability": "what was seen is in stock; the quantity is unknown",
        "platform": "web",
    },
    "ga4": {
        "consent": "the export has analytics_storage and ads_storage; personalization, email and push are unknown, "
        + UNKNOWN,
        "consent's time": CHOICE_TIME,
        "received_time": "the event's own",
        "event_id": "a hash of device, time and place in the batch; of the row where the batch is not numbered",
        "sessions": "ga_session_id; " + PAUSES,
        "availability": "what was seen is in stock; the quantity is unknown",
    },
    "segment": {
        "consent": "categories with usual names (contracts.adapters.segment.PURPOSES_OF); what no call says is "
        "unknown, " + UNKNOWN,
        "consent's time": CHOICE_TIME,
        "sessions": "context.sessionId; " + PAUSES,
        "visitors": "a call without anonymousId is of a device of its user",
        "login": "an identify call with a userId",
        "refund": "an order cancelled counts as one",
        "event_id": "messageId, else a hash of the call",
        "platform": "of channel and library; server where nothing says otherwise",
        "availability": "what was seen is in stock; the quantity is unknown",
    },
    "snowplow": {
        "consent": "consent_preferences by the usual names of its scopes; before one, unknown, " + UNKNOWN,
        "consent's time": CHOICE_TIME,
        "sessions": "domain_sessionid or the client session; " + PAUSES,
        "begin_checkout": "the first checkout step; later ones are not read",
        "event_id": "event_id, else a hash of the event",
        "availability": "what was seen is in stock; the quantity is unknown",
    },
    "otto": {
        "consent": CONSENT,
        "sessions": "OTTO's session is a device; a pause of 30 minutes begins a new session",
        "quantity": "one piece",
        "platform": "web",
    },
    "crm": {"purpose": "each attribute's is declared in contracts.profiles"},
    "simulator": {"the whole shop": "drawn by infra.simulator from its seed"},
}
"""What each source lacks and its adapter invents: name → how. Said wherever its data is shown."""


def unit_hash(text: str, salt: str) -> float:
    """A number in [0, 1) that depends on the texts alone."""
    digest = blake2b(text.encode(), digest_size=8, key=salt.encode()).digest()
    return int.from_bytes(digest, "big") / 2**64


def drawn_consent(shopper: str, changed_at: str) -> Record:
    """The wire form of a shopper's consent, chosen at `changed_at` (RFC 3339)."""
    asked = "denied" if unit_hash(shopper, "consent") < DENY_SHARE else "granted"
    return {
        "analytics": "granted",
        "personalization": asked,
        "ads": "unknown",
        "email": asked,
        "push": asked,
        "changed_at": changed_at,
    }


def spread(minutes: Sequence[int]) -> tuple[list[int], int]:
    """Times for the lines of one invoice, and for what closes it.

    Args:
        minutes: the minute of each line, in file order (epoch µs).

    Returns:
        A time a line, evenly spaced within its minute, and the time after the last line of the last minute.
        Three lines of one minute and the closing event stand at second 0, 15, 30 and 45.
    """
    last = max(minutes)
    slots = Counter(minutes)
    slots[last] += 1
    taken: Counter[int] = Counter()
    times = []
    for minute in minutes:
        times.append(minute + taken[minute] * MINUTE_MICROS // slots[minute])
        taken[minute] += 1
    return times, last + taken[last] * MINUTE_MICROS // slots[last]
