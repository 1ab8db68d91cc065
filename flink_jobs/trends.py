"""Item trends: event-time windows that slide by a part of their length.

```
window of 10 minutes     |--------- 10 ---------|            emitted when the watermark (newest event - disorder,
             slides by 1  |--------- 10 ---------|           the least of all partitions, idle ones left out) passes
                           |--------- 10 ---------|          its end; what comes later is not counted any more
```

State is a few numbers a slide and item, cleared with the last window that holds them. An event counts once for each
different item that it names. A window that saw fewer than `least_events` of an item has no row of it.
"""

from __future__ import annotations

from contracts.feature_sql import condition
from contracts.features import View

MINUTE_MICROS = 60_000_000
VIEW = "events_by_item"


def events_by_item() -> str:
    """Each event that grants analytics, once for every different item that it names."""
    return f"""CREATE TEMPORARY VIEW {VIEW} AS
SELECT named.item_id AS item_id, event_name, rowtime
FROM events_once CROSS JOIN UNNEST(ARRAY_DISTINCT(items)) AS named (item_id)
WHERE consent_analytics = 'granted'"""


def insert_trends(view: View) -> str:
    """The insert of one view of windows."""
    counts = ",\n  ".join(
        f"COUNT(*) FILTER (WHERE {condition(feature, None)}) AS {feature.name}" for feature in view.features
    )
    minutes = "TIMESTAMPDIFF(MINUTE, TIMESTAMP '1970-01-01 00:00:00', CAST(window_end AS TIMESTAMP(3)))"
    return f"""INSERT INTO {view.name}_rows
SELECT '{view.name}' AS view, item_id,
  CAST({minutes} AS BIGINT) * {MINUTE_MICROS} AS window_end,
  COUNT(*) AS events_seen,
  {counts}
FROM TABLE(HOP(
  DATA => TABLE {VIEW}, TIMECOL => DESCRIPTOR(rowtime), SLIDE => {_minutes(view.slide_minutes)}, SIZE => {_minutes(view.window_minutes)}))
GROUP BY window_start, window_end, item_id
HAVING COUNT(*) >= {view.least_events}"""


def _minutes(count: int) -> str:
    return f"INTERVAL '{count}' MINUTE{'S' if count > 1 else ''}"
