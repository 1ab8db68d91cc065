"""Each engine's rows of every view: what Flink wrote, what Spark recomputed, what the reference says."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from contracts.clock import from_micros
from contracts.cuts import Cut
from contracts.features import CONSENT, ITEM, ITEM_TRENDS, SESSION, SHOPPER, USER, View
from contracts.reference import Known, item_rows, stream_rows, user_rows, window_rows
from contracts.settings import TOPICS, Settings
from infra.demo.process import run_step
from infra.parity.compare import Compared, Key, Rows
from infra.parity.topics import flat_events, make_topics, read_all, send_flat, wait_until_quiet

GROUPED = (CONSENT, SESSION, SHOPPER)
PURPOSES = {USER: "personalization", ITEM: "analytics"}
Event = Mapping[str, Any]


@dataclass(slots=True)
class Values:
    """The rows of one stack whose stream has come to rest and whose `parity_rows` were made."""

    settings: Settings
    events: list[dict[str, Any]]

    @classmethod
    def of(cls, settings: Settings) -> Values:
        return cls(settings, flat_events(settings, TOPICS.events))

    def grouped(self, cut: date, compared: Compared) -> None:
        """The stream's grouped views, as they ended."""
        flink = _newest(read_all(self.settings, TOPICS.online_features))
        for view in GROUPED:
            key = _group(view)
            engines: dict[str, Any] = {
                "reference": stream_rows(view, self.events, self.settings),
                "spark": self._spark(view, cut, key),
                "flink": flink.get(view.name, {}),
            }
            compared.add(view, engines)

    def windows(self, days: Sequence[date], compared: Compared) -> None:
        """Item trends of days in which no event came out of order; Spark made them as of the last."""
        calm = [event for event in self.events if _on(event["event_time"]) in days]
        for view in ITEM_TRENDS:
            flink = {
                (item, str(end)): row
                for item, end, row in _windows(read_all(self.settings, TOPICS.item_trends), view)
                if _on(end - 1) in days
            }
            reference = {
                (item, str(end)): row for (item, end), row in window_rows(view, calm, self.settings).items()
            }
            spark = self._spark(view, days[-1], ("item_id", "window_end"))
            spark = {key: row for key, row in spark.items() if _on(int(key[1]) - 1) in days}
            within = {key: row for key, row in reference.items() if _on(int(key[1]) - 1) in days}
            compared.add(view, {"reference": within, "spark": spark, "flink": flink})

    def at_cut(self, cut: date, compared: Compared) -> None:
        """The batch strand's views at a cut."""
        known = Known(self.events, Cut(cut, self.settings.publish_delay), self.settings)
        catalog = _catalog(self.settings)
        reference = {USER: user_rows(USER, known), ITEM: item_rows(ITEM, known, catalog)}
        for view, rows in reference.items():
            flink = self._flink_at_cut(view, cut)
            # Items with catalog updates alone are no rows of events: Flink has none of them.
            bare = {key: _defaults(view) for key in rows if key not in flink} if view is ITEM else {}
            spark = self._spark(view, cut, view.join_keys)
            compared.add(view, {"reference": rows, "spark": spark, "flink": {**bare, **flink}})

    def _flink_at_cut(self, view: View, cut: date) -> Rows:
        """The view by its Flink expressions over the events that the cut may use, as Spark linked them."""
        name = f"parity-{view.name}-{cut}-{time.time_ns()}"
        topics = {"events": f"{name}-events", "rows": f"{name}-rows"}
        make_topics(self.settings, list(topics.values()))
        usable = pq.read_table(self._folder(cut) / f"usable_{PURPOSES[view]}").to_pylist()
        send_flat(self.settings, topics["events"], usable)
        arguments = ["--view", view.name, "--cut", cut.isoformat(), "--name", name]
        for option, topic in topics.items():
            arguments += [f"--{option}", topic]
        run_step(self.settings, name, "flink_jobs", "parity", *arguments)
        try:
            wait_until_quiet(self.settings, [topics["rows"]])
            return _newest(read_all(self.settings, topics["rows"])).get(view.name, {})
        finally:
            run_step(self.settings, name, "flink_jobs", "stop", "--name", name)

    def _spark(self, view: View, cut: date, keys: Sequence[str]) -> dict[Key, dict[str, Any]]:
        rows = pq.read_table(self._folder(cut) / view.name).to_pylist()
        return {tuple(str(row[key]) for key in keys): row for row in rows}

    def _folder(self, cut: date) -> Path:
        return self.settings.lake / "_parity" / cut.isoformat()


def _group(view: View) -> tuple[str, ...]:
    return (*view.join_keys, *(("consent_changed_at",) if view.starts_empty else ()))


def _defaults(view: View) -> dict[str, Any]:
    return {feature.name: feature.default for feature in view.features}


def _newest(records: Iterator[tuple[int, int, bytes, bytes]]) -> dict[str, dict[Key, dict[str, Any]]]:
    """View → key → the newest row."""
    rows: dict[str, dict[Key, dict[str, Any]]] = {}
    for _, _, key, value in records:
        keys: dict[str, Any] = msgspec.json.decode(key)
        view = keys.pop("view")
        rows.setdefault(view, {})[tuple(str(part) for part in keys.values())] = msgspec.json.decode(value)
    return rows


def _windows(
    records: Iterator[tuple[int, int, bytes, bytes]], view: View
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for _, _, key, value in records:
        if msgspec.json.decode(key)["view"] == view.name:
            row = msgspec.json.decode(value)
            yield row["item_id"], row["window_end"], row


def _catalog(settings: Settings) -> list[Event]:
    """Every update that bronze holds: the topic itself is compacted."""
    import deltalake

    from contracts.tables import table_named

    table = deltalake.DeltaTable(str(table_named("bronze_catalog").path(settings)))
    return list(table.to_pyarrow_table().to_pylist())


def _on(micros: int) -> date:
    return from_micros(micros).date()
