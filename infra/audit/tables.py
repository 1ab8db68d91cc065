"""An audit as tables, for people: what is there, what is dirt, what could be made of it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.adapters.made_up import MADE_UP
from contracts.events import EVENT_FIELDS, ITEM_FIELDS, NAMES, PURPOSES
from contracts.fields import Field
from infra.audit.audit import Audit
from infra.audit.report import is_consent_drawn, span_of
from infra.audit.tally import Tally
from infra.audit.uses import Finding, Judged, judge


def show(console: Console, found: Audit) -> None:
    """The audit as a person reads it: what is there, what is dirt, what could be made of it."""
    for part in _parts(found):
        console.print(part)
        console.print()


def _parts(found: Audit) -> Iterator[Table | Text]:
    tally = found.tally
    yield _headline(found)
    if tally.refused:
        yield _dirt(tally)
    if tally.events:
        yield _events(tally)
        yield _fields(f"Fields of the {tally.events:,} events", EVENT_FIELDS, tally.fields, tally.events)
    if tally.items_named:
        title = f"Fields of the {tally.items_named:,} items in them"
        yield _fields(title, ITEM_FIELDS, tally.item_fields, tally.items_named)
    if tally.events:
        yield _shoppers(tally)
        yield _consent(tally)
    if tally.profiles:
        yield _profiles(tally)
    yield _uses(judge(tally), is_consent_drawn(found))
    if found.format.name in MADE_UP:
        yield _made_up(found)


def _headline(found: Audit) -> Text:
    tally, name = found.tally, found.format
    files = f"{len(found.files)} files" if len(found.files) > 1 else str(found.files[0])
    how = f"read as {name.name} ({name.what}{', by its look' if found.guessed else ''})"
    parts = [
        f"{tally.lines:,} records",
        f"{tally.events:,} events",
        f"{len(tally.described):,} items with title and price",
    ]
    if tally.profiles:
        parts.append(f"{tally.profiles.total():,} profile attributes")
    parts.append(f"{tally.dirt:,} refused")
    vouched = f"\nvouched for: {', '.join(found.vouched)}" if found.vouched else ""
    return Text.assemble((files, "bold"), f", {how}{vouched}\n{', '.join(parts)}, {found.seconds:.1f} s")


def _dirt(tally: Tally) -> Table:
    table = _table("Refused, by reason", "reason", "records", "for example")
    for reason, count in tally.refused.most_common():
        first = tally.examples[reason][0]
        example = f"line {first['line']}: {first['text']}"
        table.add_row(_plain(reason), f"{count:,}", _plain(example[:90], "dim"))
    return table


def _events(tally: Tally) -> Table:
    table = _table("Events", "name", "events", "share")
    for name, count in tally.names.most_common():
        table.add_row(name, f"{count:,}", _percent(count / tally.events))
    missing = [name for name in NAMES if name not in tally.names]
    return _with_lines(table, {"none of": missing})


def _fields(title: str, fields: tuple[Field, ...], counts: dict[str, int], whole: int) -> Table:
    """A line for each field that is set sometimes; the others by name."""
    shares = {one.wire_name: counts[one.name] / whole for one in fields}
    table = _table(title, "field", "set", "")
    for name, share in shares.items():
        if 0 < share < 1:
            table.add_row(name, _percent(share), Text("█" * round(20 * share), "green"))
    always, never = ([name for name, share in shares.items() if share == edge] for edge in (1, 0))
    return _with_lines(table, {"always set": always, "never set": never})


def _with_lines(table: Table, lines: dict[str, list[str]]) -> Table:
    """The table in a frame of its own, with a line for each list of names under it."""
    frame = Table.grid()
    frame.add_column(overflow="fold")
    frame.add_row(Text(str(table.title), "bold"))
    table.title = None
    if table.row_count:
        frame.add_row(table)
    for what, names in lines.items():
        if names:
            frame.add_row(Text(f"{what}: {', '.join(names)}", "dim"))
    return frame


def _shoppers(tally: Tally) -> Table:
    table = _table("Shoppers and purchases", "what", "found")
    span = span_of(tally)
    long = sum(count > 1 for count in tally.sessions.values())
    rows = {
        "from": span["first"],
        "to": span["last"],
        "days, with events": f"{span['days']:,}, {span['days_with_events']:,}",
        "visitors (devices)": f"{len(tally.visitors):,}",
        "users (user_id)": f"{len(tally.actors):,}",
        "sessions, with at least 2 events": f"{len(tally.sessions):,}, {long:,}",
        "items touched": f"{len(tally.items):,}",
        "purchases, buyers": f"{tally.names['purchase']:,}, {len(tally.buyers):,}",
        "refunds": f"{tally.names['refund']:,}",
    }
    for currency, minor in sorted(tally.revenue.items()):
        rows[f"revenue in {'no currency' if currency == '?' else currency}"] = f"{minor / 100:,.2f}"
    for what, shown in rows.items():
        table.add_row(_plain(what), shown)
    return table


def _consent(tally: Tally) -> Table:
    states = tuple(tally.consent_of(PURPOSES[0]))
    table = _table("Consent, share of events", "purpose", *states)
    for purpose in PURPOSES:
        table.add_row(purpose, *(_percent(n / tally.events) for n in tally.consent_of(purpose).values()))
    return table


def _profiles(tally: Tally) -> Table:
    table = _table(f"Attributes of {len(tally.profiled):,} users", "attribute", "records")
    for name, count in tally.profiles.most_common():
        table.add_row(name, f"{count:,}")
    return table


def _uses(judged: list[Judged], drawn: bool) -> Table:
    table = _table("What could be trained from it", "use", "", "needs", "found")
    for one in judged:
        verdict = Text("yes", "green") if one.is_possible else Text("no", "red")
        for place, finding in enumerate(one.findings):
            head = (one.use.name, verdict) if place == 0 else ("", "")
            mark = Text("*" if drawn and finding.need.is_consent else " ")
            table.add_row(*head, _need(finding), _found(finding) + mark)
    return _with_lines(table, {"*": ["counted with a consent that is made up"] if drawn else []})


def _made_up(found: Audit) -> Text:
    lines = [Text("Not in the source, so made up or read so", "bold")]
    lines += [Text(f"  {what}: {how}", "dim") for what, how in MADE_UP[found.format.name].items()]
    silent = found.tally.consent["personalization", "unknown"]
    if silent and not found.vouched:
        share = _percent(silent / found.tally.events)
        lines.append(
            Text(f"{share} of the events say nothing of personalization, so nothing is personal for them. If the shop "
                 "has that consent elsewhere: --vouch personalization", "yellow")
        )  # fmt: skip
    return Text("\n").join(lines)


def _need(finding: Finding) -> str:
    need = finding.need
    least = _percent(need.minimum) if need.is_share else f"{need.minimum:,}"
    return f"at least {least} {need.what}"


def _found(finding: Finding) -> Text:
    shown = _percent(finding.found) if finding.need.is_share else f"{finding.found:,}"
    return Text(shown, "green" if finding.is_met else "red")


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        box=None,
        pad_edge=False,
    )
    for number, column in enumerate(columns):
        right = column in ("records", "events", "share", "set", "found", "granted", "denied", "unknown")
        table.add_column(column, justify="right" if right else "left", overflow="fold", header_style="dim",
                         no_wrap=number == 0 and column != "reason")  # fmt: skip
    return table


def _plain(text: str, style: str = "") -> Text:
    """A text of the file, without anything a terminal could obey."""
    return Text("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text), style)


def _percent(share: float) -> str:
    """Whole percents, but never 0 or 100 of what is neither."""
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else f"{share:.0%}".replace("%", " %")
