"""The sources that lie in files: which adapter reads them, and where to get them."""

from __future__ import annotations

from pathlib import Path

from contracts.adapters import crm, ga4, online_retail, otto, rees46, segment, snowplow
from contracts.adapters.files import Adapter, FileSource, day_files
from contracts.errors import SourceError

CSV, JSON_LINES = ".csv.gz", ".jsonl.gz"

ADAPTERS = {
    adapter.name: adapter
    for adapter in (
        Adapter(
            "online-retail",
            "online-retail",
            online_retail.adapt_day,
            "get Online Retail from https://archive.ics.uci.edu/dataset/352/online+retail and write its sheet "
            f"as one file a trading day with the header {','.join(online_retail.COLUMNS)} (UTF-8, "
            "InvoiceDate as YYYY-MM-DD HH:MM:SS)",
        ),
        Adapter(
            "rees46",
            "rees46",
            rees46.adapt_day,
            "get 2019-Oct.csv from https://rees46.com/en/datasets and write it as one file a day with the "
            f"header {','.join(rees46.COLUMNS)}",
        ),
        Adapter(
            "ga4",
            "ga4",
            ga4.adapt_day,
            "export each table events_YYYYMMDD of your GA4 property as newline-delimited JSON "
            "(https://cloud.google.com/bigquery/docs/exporting-data), a file a day",
            (JSON_LINES,),
            pieces=ga4.pieces,
        ),
        Adapter(
            "segment",
            "segment",
            segment.adapt_day,
            "write the calls of your Segment or RudderStack warehouse or bucket as JSON lines "
            "(https://www.twilio.com/docs/segment/connections/storage/catalog/aws-s3), a file a day",
            (JSON_LINES,),
            pieces=segment.pieces,
        ),
        Adapter(
            "snowplow",
            "snowplow",
            snowplow.adapt_day,
            "write your enriched events as JSON lines "
            "(https://docs.snowplow.io/docs/api-reference/analytics-sdk/), a file a day",
            (JSON_LINES,),
            pieces=snowplow.pieces,
        ),
        Adapter(
            "otto",
            "otto",
            otto.adapt_day,
            "get otto-recsys-train.jsonl from https://github.com/otto-de/recsys-dataset",
            one_file="train.jsonl",
            pieces=otto.pieces,
        ),
        Adapter(
            "crm",
            "crm",
            crm.adapt_day,
            "write your users' attributes as CSV (https://www.rfc-editor.org/rfc/rfc4180) or JSON lines in the form "
            "that docs/audit.md shows, a file a day of changes",
            (CSV, JSON_LINES),
            has_profiles=True,
        ),
    )
}


def has_source(name: str, data: Path | None) -> bool:
    """Whether `data` holds the files of the source."""
    if data is None:
        return False
    adapter = ADAPTERS[name]
    if adapter.one_file:
        return (data / adapter.folder / adapter.one_file).is_file()
    return any(day_files(adapter, data / adapter.folder))


def open_source(name: str, data: Path | None, vouch: tuple[str, ...] = ()) -> FileSource:
    """The source `name` in the data folder; the shop vouches for the purposes `vouch`.

    Raises:
        SourceError: no such source, or its files are not there.
    """
    if name not in ADAPTERS:
        raise SourceError(f"source {name!r} is not declared; known are {', '.join(sorted(ADAPTERS))}")
    adapter = ADAPTERS[name]
    if data is None or not has_source(name, data):
        where = "BRAID_DATA" if data is None else str(data / adapter.folder)
        raise SourceError(
            f"{name} is not in {where}: {adapter.get_it}, as {adapter.folder}/{adapter.layout} under the "
            "folder that BRAID_DATA names. Without it use the source `simulator`."
        )
    return FileSource(adapter, data / adapter.folder, vouch)
