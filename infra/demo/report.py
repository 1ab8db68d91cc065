"""The demo's report: `demo.json`, its page, and the table that ends it in the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from rich.console import Console
from rich.table import Table

from contracts.reports import write_report
from contracts.settings import Settings
from infra.demo.story import Story, ids_of

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the closing table."""

    what: str
    seen: str
    meaning: str


def rows_of(report: Report) -> list[Row]:
    """The figures a reader asks for first."""
    stream, requests, fresh = report["stream"], report["requests"], report["freshness_ms"]
    lift, export, parity = report["session_lift"], report["export"], report["parity"]
    gates = report["batch"]["gates"]
    return [
        Row("events read", f"{report['data']['events']:,}", f"from {report['data']['source']}"),
        Row(
            "gates passed / failed",
            f"{gates['passed']} / {gates['failed']}",
            "all that failed are of the planted day",
        ),
        Row(
            "HR@20 updated",
            f"{lift['hr20_updated']:.3f}",
            f"with the session, {lift['targets']:,} added items",
        ),
        Row("HR@20 from start", f"{lift['hr20_start']:.3f}", "the same requests without the session"),
        Row("stream events", f"{stream['events']:,}", f"{stream['events_per_second']:,.0f}/s into Redis"),
        Row(
            "lost / duplicated", f"{stream['lost']} / {stream['duplicated']}", "against the counts from Delta"
        ),
        Row(
            "freshness p50 / p99",
            f"{fresh['p50']:.0f} / {fresh['p99']:.0f} ms",
            f"{fresh['sessions']:,} sessions",
        ),
        Row("requests", f"{requests['count']:,}", f"{requests['non_2xx']} not 2xx, under the load"),
        Row(
            "request p50 / p99",
            f"{requests['p50_ms']:.0f} / {requests['p99_ms']:.0f} ms",
            "open loop, whole HTTP",
        ),
        Row(
            "decisions recomputed",
            f"{parity['decisions']:,}",
            f"{parity['differences']} differences; " + _compared(parity["rows"]),
        ),
        Row(
            "lists",
            f"{export['rows']:,}",
            f"rows for {export['users']:,} users; the same bytes on rerun: {export['identical_on_rerun']}",
        ),
        Row("memory", f"{report['memory_mib']:,} MiB", "the peak of all processes together"),
        Row("whole demo", f"{report['seconds'] / 60:.1f} min", "this run"),
    ]


def _compared(rows: dict[str, int]) -> str:
    """What was compared of each kind, as `session 900, user 50`."""
    return ", ".join(f"{kind.replace('_', ' ')} {n:,}" for kind, n in sorted(rows.items()))


def write(settings: Settings, report: Report, story: Story) -> Path:
    """Write `demo.json` and `demo.html`; return the page's path."""
    write_report(settings.reports / "demo.json", report)
    page = settings.reports / "demo.html"
    page.write_text(render(report, story, f"{settings.scorer_url}/shop"))
    return page


def render(report: Report, story: Story, shop_url: str) -> str:
    """The page as HTML; it links the shop's page and shows its pictures, which lie beside it."""
    here = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(
        loader=here, autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("page.html.j2")
    runs = report["batch"]["dag_runs"]
    tasks = list(dict.fromkeys(task for run in runs for task in run["task_states"]))
    first = set(ids_of(story.answers[0]))
    return template.render(
        report=report, story=story, rows=rows_of(report), tasks=tasks, first_ids=first, shop_url=shop_url
    )


def show(console: Console, report: Report, page: Path) -> None:
    """The closing table, missed aims, broken promises and where the page is."""
    table = Table(title="The demo")
    table.add_column("what")
    table.add_column("seen", justify="right")
    table.add_column("meaning", style="dim")
    for row in rows_of(report):
        table.add_row(row.what, row.seen, row.meaning)
    console.print(table)
    for aim in report["missed"]:
        console.print(f"MISSED on this machine: {aim}", style="yellow", highlight=False)
    for promise in report["broken"]:
        console.print(f"BROKEN: {promise}", style="bold red", highlight=False)
    console.print(f"The page: {page}", highlight=False, soft_wrap=True)
