"""The training set sees what was known before the label, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from feast import FeatureStore, RepoConfig

from contracts.clock import to_micros
from contracts.cuts import Cut
from contracts.features import DERIVED, FEATURE_SERVICE, SESSION, SHOPPER, USER, FeatureType, View
from contracts.online import decode_row, fields_of, redis_key
from contracts.settings import Settings
from contracts.tables import table_named
from feature_repo.definitions import all_objects
from feature_repo.materialize import materialize
from feature_repo.repo import apply, online_config, repo_config
from feature_repo.store import VersionedRedisOnlineStore
from feature_repo.training import (
    CONTEXT,
    LABEL_COLUMNS,
    TrainingSetError,
    label_rows,
    write_training_set,
)
from feature_repo.withdrawals import tombstones_of
from infra.stack import LocalStack

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

LABEL = datetime(2011, 9, 1, 12, 0, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
CUT = Cut(date(2011, 9, 1))
# Chosen on 2011-09-02 at 01:00:00, before the cut is published at 02:00.
DENIED = f"{1_314_925_200_000_000:017d}|20000"
SPARK_TYPES = {
    FeatureType.INT64: "BIGINT",
    FeatureType.STRING: "STRING",
    FeatureType.STRING_LIST: "ARRAY<STRING>",
    FeatureType.FLOAT_LIST: "ARRAY<FLOAT>",
}
TIMES = "event_timestamp TIMESTAMP, created_timestamp TIMESTAMP"


@pytest.fixture(scope="module")
def lake(settings: Settings, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings over a small lake of this module's own."""
    own = replace(settings, var=tmp_path_factory.mktemp("lake").resolve())
    _write_sessions(spark, own)
    _write_shoppers(spark, own)
    _write_users(spark, own)
    _write_labels(spark, own)
    _write_consent(spark, own)
    return own


def _save(
    spark: SparkSession, settings: Settings, table: str, schema: str, rows: list[dict[str, Any]]
) -> None:
    path: Path = table_named(table).path(settings)
    frame = spark.createDataFrame(rows, schema)
    frame.coalesce(1).write.format("delta").mode("overwrite").save(str(path))


def _schema(view: View) -> str:
    keys = ", ".join(f"{key} STRING" for key in view.join_keys)
    columns = ", ".join(f"{name} {SPARK_TYPES[dtype]}" for name, dtype in view.stored_columns)
    return f"{keys}, {columns}, {TIMES}"


def _row(view: View, keys: dict[str, str], at: datetime, created: datetime, **values: Any) -> dict[str, Any]:
    empty = {name: None for name, _ in view.stored_columns}
    return {**keys, **empty, **values, "event_timestamp": at, "created_timestamp": created}


def _write_sessions(spark: SparkSession, settings: Settings) -> None:
    def row(
        visitor: str,
        session: str,
        at: datetime,
        carts: int,
        *,
        received: datetime | None = None,
        choice: int = 1,
    ) -> dict[str, Any]:
        keys = {"visitor_id": visitor, "session_id": session}
        values = {"session_carts": carts, "events_seen": carts}
        values |= {"consent_changed_at": choice, "session_consent_at": choice}
        return _row(SESSION, keys, at, received or at, **values)

    minute = timedelta(minutes=1)
    rows = [
        row("v", "s", LABEL - 3 * minute, 1),
        row("v", "s", LABEL - 2 * minute, 2),
        # Two events of one instant: the row that saw more of them holds.
        row("v", "s", LABEL - minute, 3),
        row("v", "s", LABEL - minute, 4),
        # Leaks: happened before the label but arrived after it; at the label's own time; later.
        row("v", "s", LABEL - minute / 2, 50, received=LABEL + minute),
        row("v", "s", LABEL, 60),
        row("v", "s", LABEL + minute, 70),
        # Keys that read alike when run together.
        row("a1", "2", LABEL - minute, 12),
        row("a", "12", LABEL - 2 * minute, 112),
        # Stale: two hours, and a session row is fresh for one.
        row("old", "s", LABEL - 120 * minute, 9),
        # An old tab sends its old choice on: the online store keeps the row of the newer one.
        row("tabs", "s", LABEL - 2 * minute, 1, choice=2),
        row("tabs", "s", LABEL - minute, 9, choice=1),
    ]
    _save(spark, settings, SESSION.table, _schema(SESSION), rows)


def _write_shoppers(spark: SparkSession, settings: Settings) -> None:
    def row(
        shopper: str, at: datetime, carts: int, received: datetime | None = None, choice: int = 1
    ) -> dict[str, Any]:
        values = {
            "shopper_carts_by_day": [f"2011-09-01={carts}"],
            "events_seen": carts,
            "consent_changed_at": choice,
            "shopper_consent_at": choice,
        }
        return _row(SHOPPER, {"shopper_id": shopper}, at, received or at, **values)

    day = timedelta(days=1)
    rows = [
        row("user:u", LABEL - 2 * day, 1),
        row("user:u", LABEL - day, 2),
        # After a new choice the row starts anew, and the newest one holds.
        row("user:u", LABEL - day / 8, 1, choice=2),
        # Leaks: arrived after the label; at the label's own time; of the device, which the label does not name.
        row("user:u", LABEL - day / 16, 70, received=LABEL + day),
        row("user:u", LABEL, 80),
        row("visitor:a", LABEL - day, 90),
        row("visitor:v", LABEL - day, 5),
    ]
    _save(spark, settings, SHOPPER.table, _schema(SHOPPER), rows)


def _write_users(spark: SparkSession, settings: Settings) -> None:
    def row(cut: Cut, spend: int, published: datetime | None = None, user: str = "u") -> dict[str, Any]:
        values = {"user_spend_minor_90d": spend, "user_last_items": ["i1", "ü"]}
        values |= {"user_cut_end_at": to_micros(cut.end)}
        return _row(USER, {"user_id": user}, cut.end, published or cut.published_at, **values)

    day = timedelta(days=1)
    rows = [
        row(Cut(CUT.on - 2 * day), 10),
        row(Cut(CUT.on - day), 20),
        # Leaks: published again after the label, and the cut of the label's own day.
        row(Cut(CUT.on - day), 999, published=LABEL + timedelta(hours=1)),
        row(CUT, 888),
        row(Cut(CUT.on - day), 5, user="other"),
        row(CUT, 6, user="other"),
    ]
    _save(spark, settings, USER.table, _schema(USER), rows)


def _write_labels(spark: SparkSession, settings: Settings) -> None:
    def row(
        event: str,
        user: str | None,
        visitor: str,
        session: str,
        at: datetime = LABEL,
        *,
        withdrawn: int | None = None,
    ) -> dict[str, Any]:
        shopper = f"visitor:{visitor}" if user is None else f"user:{user}"
        keys = {"event_id": event, "user_id": user, "visitor_id": visitor, "session_id": session}
        keys |= {"shopper_id": shopper, "withdrawn_at": withdrawn, **dict.fromkeys(CONTEXT)}
        keys |= {"linked_user_id": user}
        return {**keys, "label_item_id": "i", "event_timestamp": at - MICROSECOND, "event_on": at.date()}

    rows = [
        row("e1", "u", "v", "s"),
        # A later link: the device is u's from its next login on, which nobody knows yet.
        row("e2", None, "v", "s"),
        row("e3", "stranger", "a1", "2"),
        row("e4", "u", "a", "12"),
        row("e5", None, "old", "s"),
        row("e6", "u", "v", "s", LABEL - timedelta(days=40)),
        # Before that morning's publication (02:00) only the cut before is known.
        row("e7", "u", "none", "s", datetime(2011, 9, 1, 1, 59, tzinfo=UTC)),
        # After a withdrawal a new grant starts empty: stream rows of choices 1 and 2 are not this label's, yesterday's cut is.
        row("e8", "u", "v", "s", withdrawn=2),
        # A withdrawal in the very moment that ended yesterday's cut: no row of before is this label's.
        row("e11", "u", "v", "s", withdrawn=to_micros(Cut(CUT.on - timedelta(days=1)).end)),
        # Of the choices 1 and 2 only the first was taken back.
        row("e12", "u", "v", "s", withdrawn=1),
        row("e13", None, "tabs", "s"),
        # Granted when it happened, withdrawn since: on the device that never logged in, and by the user elsewhere.
        row("e9", None, "gone", "s"),
        row("e10", "leaver", "v", "s"),
    ]
    schema = (
        "event_id STRING, user_id STRING, linked_user_id STRING, shopper_id STRING, visitor_id STRING, session_id STRING, "
        "label_item_id STRING, event_timestamp TIMESTAMP, event_on DATE, withdrawn_at BIGINT, "
        + ", ".join(f"{name} STRING" for name in CONTEXT)
    )
    _save(spark, settings, "gold_label_rows", schema, rows)


def _write_consent(spark: SparkSession, settings: Settings) -> None:
    """What is known at the cut, and at the one before it."""
    granted, denied = "01293840000000000|00000", "01314835200000000|20000"
    states = {f"visitor:{v}": granted for v in ("v", "a1", "a", "old", "none", "tabs")}
    states |= {"user:u": granted, "visitor:gone": denied, "user:leaver": denied}
    rows = [{"shopper_id": who, "consent_state": state, "cut_on": CUT.on} for who, state in states.items()]
    before = CUT.on - timedelta(days=1)
    rows += [{"shopper_id": who, "consent_state": granted, "cut_on": before} for who in states]
    _save(spark, settings, "gold_consent", "shopper_id STRING, consent_state STRING, cut_on DATE", rows)


def _examples(spark: SparkSession, settings: Settings) -> dict[str, tuple[Any, ...]]:
    path = str(table_named("gold_training_examples").path(settings))
    rows = spark.read.format("delta").load(path).collect()
    return {
        row.event_id: (
            row.session_carts,
            row.user_spend_minor_90d,
            row.user_last_items,
            row.shopper_carts_by_day,
        )
        for row in rows
    }


def test_planted_leaks_are_not_joined(spark: SparkSession, lake: Settings) -> None:
    count = write_training_set(spark, apply(lake), lake, CUT, 30)

    assert count == 10
    assert _examples(spark, lake) == {
        "e1": (4, 20, ["i1", "ü"], ["2011-09-01=1"]),
        "e2": (4, None, None, ["2011-09-01=5"]),
        "e3": (12, None, None, None),
        "e4": (112, 20, ["i1", "ü"], ["2011-09-01=1"]),
        "e5": (None, None, None, None),
        # Ten hours before the others: the row of before the new choice.
        "e7": (None, 10, ["i1", "ü"], ["2011-09-01=2"]),
        "e8": (None, 20, ["i1", "ü"], None),
        "e11": (None, None, None, None),
        "e12": (None, 20, ["i1", "ü"], ["2011-09-01=1"]),
        "e13": (1, None, None, None),
    }


def test_columns_are_the_label_row_the_feature_service_and_what_derives_from_them(
    spark: SparkSession, lake: Settings
) -> None:
    path = str(table_named("gold_training_examples").path(lake))
    columns = spark.read.format("delta").load(path).columns
    views = (name for view in (SESSION, SHOPPER, USER) for name in view.feature_names)
    assert set(columns) == {*LABEL_COLUMNS, *views, *(feature.name for feature in DERIVED)}
    assert len(columns) == len(set(columns))


def test_the_lean_join_is_stock_feasts(spark: SparkSession, lake: Settings) -> None:
    """On rows that stock Feast tells apart: its concatenated keys would mix up e3 and e4, and of e13 it takes the later row."""
    stock_config = repo_config(lake).model_dump(by_alias=True, exclude_unset=True)
    stock_config["offline_store"] = {"type": "spark"}
    stock_config["registry"] = str(lake.var / "feast" / "stock.db")
    stock = FeatureStore(config=RepoConfig(**stock_config))
    stock.apply(list(all_objects(lake)))
    labels = label_rows(spark, lake, CUT, 30).where("event_id not in ('e3', 'e4', 'e13')")

    def joined(store: FeatureStore) -> list[Any]:
        job: Any = store.get_historical_features(
            labels, store.get_feature_service(FEATURE_SERVICE), filter_by_created_timestamp=True
        )
        frame = job.to_spark_df()
        return sorted(frame.select(*sorted(frame.columns)).collect(), key=lambda row: row.event_id)

    assert joined(apply(lake)) == joined(stock)


def test_no_labels_is_an_error_that_says_so(spark: SparkSession, lake: Settings) -> None:
    with pytest.raises(TrainingSetError, match="no rows in the 3 days to 2011-07-01"):
        write_training_set(spark, apply(lake), lake, Cut(date(2011, 7, 1)), 3)


@pytest.mark.usefixtures("spark")
def test_materializes_the_rows_of_one_cut(lake: Settings, stack: LocalStack) -> None:
    """The table of user vectors does not exist in this lake, so only the user view is written."""
    stack.up(["redis"])
    client = VersionedRedisOnlineStore().client(online_config(lake))
    client.flushall()
    store = apply(lake)

    def spend(user: str) -> tuple[tuple[int, int] | None, Any]:
        values: Any = client.hmget(redis_key(lake.feast_project, {"user_id": user}), fields_of(USER))
        row = decode_row(USER, values)
        return row.version, (row.features["user_spend_minor_90d"], row.features["user_last_items"])

    before = Cut(CUT.on - timedelta(days=1))
    assert materialize(store, lake, before) == ["user"]
    # The cut that ends 2011-09-01 00:00, published at 02:00; of `u` the second publication, at 13:00.
    end = 1_314_835_200_000_000
    assert spend("other") == ((end, end + 2 * 3600 * 10**6), (5, ["i1", "ü"]))
    assert spend("u") == ((end, end + 13 * 3600 * 10**6), (999, ["i1", "ü"]))

    materialize(store, lake, CUT)
    assert spend("other")[1] == (6, ["i1", "ü"])
    # An older cut again: the rows of the newer one stay.
    materialize(store, lake, before)
    assert spend("other")[1] == (6, ["i1", "ü"])

    # A withdrawal on the day after the newer cut: neither cut comes back for `other`, and `u` is as it was.
    gone = tombstones_of(lake.feast_project, DENIED, {"user_id": "other"})
    assert {tombstone.view for tombstone in gone} == {"user", "user_embedding"}
    VersionedRedisOnlineStore().leave_tombstones(online_config(lake), gone)
    for cut in (before, CUT):
        materialize(store, lake, cut)
        assert spend("other") == (None, (0, None))
    assert spend("u")[1] == (888, ["i1", "ü"])
