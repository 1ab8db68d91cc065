"""The plain Python reference of whole views: which events make a row, and what the row says. Slow and readable.

Every engine is held against it (`tests/parity`, `make parity`). Events are flat, each with its position
(`source_partition`, `source_offset`); a row is a dict of the view's stored columns and its version.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any

from contracts.accumulators import Row, counts
from contracts.clock import MICROSECOND, from_micros, to_micros
from contracts.consent import granted, state_of
from contracts.cuts import Cut
from contracts.events import consent_keys, shopper_id
from contracts.features import CONSENT, SHOPPER, Computed, CoVisited, Feature, Source, Value, View
from contracts.settings import Settings

Event = Mapping[str, Any]
Key = tuple[str, ...]
Stored = dict[str, Value]
LINK_DAYS = 30
"""A login links its device for so long."""
MINUTE_MICROS = 60_000_000


def first_of_each(arrived: Iterable[Event]) -> list[Event]:
    """Each event_id of a device once: the first, in the order given."""
    seen: dict[tuple[str, str], Event] = {}
    for event in arrived:
        seen.setdefault((event["visitor_id"], event["event_id"]), event)
    return list(seen.values())


def stream_rows(view: View, arrived: Iterable[Event], settings: Settings) -> dict[Key, Stored]:
    """The rows that a stream view ends with, by its group key (join keys, then the consent that it was made under).

    Args:
        arrived: in the order of arrival; of one device, the order of offsets.
    """
    groups: dict[Key, list[Event]] = defaultdict(list)
    for event in first_of_each(admitted(arrived, settings)):
        if taken(view, event, settings):
            for key in _groups(view, event):
                groups[key].append(event)
    return {key: _stream_row(view, events) for key, events in groups.items()}


def taken(view: View, event: Event, settings: Settings) -> bool:
    """Whether a grouped stream view takes the event."""
    if view.name == CONSENT.name:
        return True
    in_time = event["received_time"] - event["event_time"] <= settings.session_horizon // MICROSECOND
    return bool(in_time and event[f"consent_{view.purpose}"] == "granted")


def admitted(arrived: Iterable[Event], settings: Settings) -> Iterator[Event]:
    """What is not later than late_horizon; the rest is refused in both strands (`too_late`)."""
    horizon = settings.late_horizon // MICROSECOND
    return (event for event in arrived if event["received_time"] - event["event_time"] <= horizon)


def window_rows(view: View, arrived: Iterable[Event], settings: Settings) -> dict[tuple[str, int], Stored]:
    """The rows of a view of windows, by item and the end of the window; nothing in `arrived` came after its window."""
    windows: dict[tuple[str, int], list[Event]] = defaultdict(list)
    size, slide = view.window_minutes * MINUTE_MICROS, view.slide_minutes * MINUTE_MICROS
    for event in first_of_each(admitted(arrived, settings)):
        if event[f"consent_{view.purpose}"] == "granted":
            # The first window is the next to end, the last one the newest that has begun.
            first = (event["event_time"] // slide + 1) * slide
            for end in range(first, first + size, slide):
                for item in {item["item_id"] for item in event["items"]}:
                    windows[item, end].append(event)
    return {
        (item, end): {
            **{f.name: sum(counts(f, event, None) for event in events) for f in view.features},
            "events_seen": len(events),
        }
        for (item, end), events in windows.items()
        if len(events) >= view.least_events
    }


@dataclass(frozen=True, slots=True)
class Known:
    """What a cut knows: its usable events, linked, by purpose.

    Attributes:
        consent_as_of: choices received before it count.
    """

    bronze: Sequence[Event]
    cut: Cut
    settings: Settings
    consent_as_of: datetime | None = None

    def usable(self, purpose: str) -> list[dict[str, Any]]:
        """Events of the cut granted for `purpose` when they happened and still, with `linked_user_id`."""
        choices = self._choices()
        return [
            event
            for event in self._linked()
            if event[f"consent_{purpose}"] == "granted" and granted(_choice_of(event, choices), purpose)
        ]

    def _choices(self) -> dict[str, str]:
        """The newest choice under each shopper's key."""
        before = to_micros(self.consent_as_of or self.cut.published_at)
        newest: dict[str, str] = {}
        for event in admitted(self.bronze, self.settings):
            if event["received_time"] < before:
                for key in consent_keys(event):
                    newest[key] = max(newest.get(key, ""), state_of(event))
        return newest

    def _linked(self) -> list[dict[str, Any]]:
        """The cut's events once each, in the order of arrival, with the user who is known by then."""
        order = sorted(admitted(self.bronze, self.settings), key=_received)
        once = [event for event in first_of_each(order) if self.cut_of(event) <= self.cut.on]
        newest: dict[str, Event] = {}
        linked = []
        for event in sorted(once, key=lambda event: (self.cut_of(event), *_received(event))):
            marker = newest.get(event["visitor_id"])
            user = event["user_id"] or _user_of(marker, event["event_time"])
            linked.append({**event, "linked_user_id": user})
            if event["user_id"] or event["event_name"] == "logout":
                newest[event["visitor_id"]] = event
        return linked

    def cut_of(self, event: Event) -> date:
        """The first cut that holds the event."""
        received = event["received_time"] - self.cut.publish_delay // MICROSECOND
        return max(_day(event["event_time"]), _day(received))


def user_rows(view: View, known: Known) -> dict[Key, Stored]:
    """The user view at a cut."""
    return _cut_rows(view, known, lambda event: [event["linked_user_id"]] if event["linked_user_id"] else [])


def item_rows(view: View, known: Known, catalog: Sequence[Event]) -> dict[Key, Stored]:
    """The item view at a cut; of the flat updates in `catalog` the last one sent for a time counts."""
    rows = _cut_rows(view, known, lambda event: {item["item_id"] for item in event["items"]})
    cut, updates = known.cut, defaultdict[str, list[Event]](list)
    for update in {(one["item_id"], one["effective_time"]): one for one in catalog}.values():
        if update["effective_time"] < to_micros(cut.end):
            updates[update["item_id"]].append({"event_name": "", **update})
    empty = Row(_of(view, Source.EVENTS)).values()
    none = dict(zip((f.name for f in _of(view, Source.EVENTS)), empty, strict=True))
    together = {f.name: covisited(f, known.usable("analytics"), cut) for f in view.features if _is_pairs(f)}
    for key in rows.keys() | {(item,) for item in updates}:
        prices = _values(_of(view, Source.CATALOG), updates[key[0]], cut)
        pairs = {name: lists.get(key[0]) for name, lists in together.items()}
        rows[key] = {**none, **rows.get(key, {}), **prices, **pairs}
    return rows


def covisited(feature: Feature, usable: Iterable[Event], cut: Cut) -> dict[str, list[str]]:
    """Each item's companions: of the sessions' newest items, those met in most sessions, then by id."""
    aggregate = feature.aggregate
    assert isinstance(aggregate, CoVisited)
    sessions: dict[Key, dict[str, tuple[int, str]]] = defaultdict(dict)
    for event in usable:
        if event["item_id"] is not None and counts(feature, event, to_micros(cut.end)):
            places = sessions[event["visitor_id"], event["session_id"]]
            place = (event["event_time"], event["event_id"])
            places[event["item_id"]] = max(places.get(event["item_id"], place), place)
    met: dict[str, Counter[str]] = defaultdict(Counter)
    for places in sessions.values():
        newest = sorted(places, key=lambda item: places[item], reverse=True)[: aggregate.per_session]
        for one, other in combinations(newest, 2):
            met[one][other] += 1
            met[other][one] += 1
    return {
        item: sorted(others, key=lambda other: (-others[other], other))[: aggregate.k]
        for item, others in met.items()
    }


def _groups(view: View, event: Event) -> list[Key]:
    """The rows that the event counts in: a choice about consent in two, all else in one."""
    ids = consent_keys(event) if view.name == CONSENT.name else (shopper_id(event),)
    return [_group(view, {**event, "shopper_id": one}) for one in ids]


def _group(view: View, keyed: Event) -> Key:
    return (
        *(keyed[key] for key in view.join_keys),
        *((str(keyed["consent_changed_at"]),) if view.starts_empty else ()),
    )


def _stream_row(view: View, events: Sequence[Event]) -> Stored:
    row = Row(view.features)
    for event in events:
        row.add({**event, "consent_state": state_of(event)} if view.name == CONSENT.name else event)
    stored: Stored = dict(zip(view.feature_names, row.values(), strict=True))
    newest = max(event["event_time"] for event in events)
    consent = {"consent_changed_at": events[0]["consent_changed_at"]} if view.starts_empty else {}
    return stored | {"events_seen": len(events), "newest_event_time": newest} | consent


def _cut_rows(view: View, known: Known, keys_of: Callable[[Event], Iterable[str]]) -> dict[Key, Stored]:
    assert view.purpose is not None and view.name != SHOPPER.name
    groups: dict[Key, list[Event]] = defaultdict(list)
    for event in known.usable(view.purpose):
        for key in keys_of(event):
            groups[(key,)].append(event)
    return {key: _values(_of(view, Source.EVENTS), events, known.cut) for key, events in groups.items()}


def _of(view: View, source: Source) -> list[Feature]:
    """The view's features that aggregate this source, one entity at a time."""
    return [
        f for f in view.features if f.source is source and not isinstance(f.aggregate, Computed | CoVisited)
    ]


def _is_pairs(feature: Feature) -> bool:
    return isinstance(feature.aggregate, CoVisited)


def _values(features: Sequence[Feature], events: Iterable[Event], cut: Cut) -> Stored:
    row = Row(features, to_micros(cut.end))
    for event in events:
        row.add(event)
    return dict(zip((feature.name for feature in features), row.values(), strict=True))


def _received(event: Event) -> tuple[int, int, int]:
    return event["received_time"], event["source_partition"], event["source_offset"]


def _user_of(marker: Event | None, at: int) -> str | None:
    """Who is logged in on the device at a moment, by its newest event with a user or a logout."""
    if marker is None or marker["event_name"] == "logout":
        return None
    age = at - marker["event_time"]
    user: str | None = marker["user_id"]
    return user if 0 <= age < timedelta(days=LINK_DAYS) // MICROSECOND else None


def _choice_of(event: Mapping[str, Any], choices: Mapping[str, str]) -> str | None:
    """The newer choice of the device's and the user's."""
    keys = [f"visitor:{event['visitor_id']}", f"user:{event['linked_user_id']}"]
    return max((choices[key] for key in keys if key in choices), default=None)


def _day(micros: int) -> date:
    return from_micros(micros).date()
