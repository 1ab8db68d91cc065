"""The Delta tables: each with a key, an owner job, a retention and a way of writing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contracts.settings import Settings


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the lake.

    Attributes:
        key: columns that identify a row.
        owner: the one job that writes it.
        partition: the date column that replacements name; None for unpartitioned tables.
        retention_days: how long rows are kept.
    """

    name: str
    doc: str
    key: tuple[str, ...]
    owner: str
    partition: str | None
    retention_days: int

    def path(self, settings: Settings) -> Path:
        return settings.lake / self.name


POSITION = ("source", "source_partition", "source_offset")
TABLES = {
    table.name: table
    for table in (
        Table("bronze_events", "Flat events as they arrived, duplicates too", POSITION, "bronze",
              "received_on", 400),
        Table("bronze_rejected", "What the door refused", POSITION, "bronze", "received_on", 90),
        Table("bronze_catalog", "Catalog updates as they arrived", POSITION, "bronze", "received_on", 400),
        Table("silver_events", "Events of a day, once each, with consent and identity", ("visitor_id", "event_id"), "silver",
              "event_on", 400),
        Table("silver_catalog", "Price, title and stock history, once each", ("item_id", "effective_time"), "silver",
              "effective_on", 800),
        Table("silver_profiles", "What CRM and questionnaires say of users, each attribute with its purpose",
              ("user_id", "attribute", "effective_time"), "profiles", "effective_on", 800),
        Table("gold_user_features", "The user view at each cut", ("user_id", "cut_on"), "gold", "cut_on", 120),
        Table("gold_item_features", "Item features and the catalog state at each cut", ("item_id", "cut_on"), "gold",
              "cut_on", 120),
        Table("gold_consent", "Each shopper's newest choice at each cut", ("shopper_id", "cut_on"), "gold", "cut_on", 120),
        Table("gold_session_features", "The session view after each event", ("visitor_id", "event_id"), "gold", "event_on", 120),
        Table("gold_shopper_features", "The shopper view after each event", ("visitor_id", "event_id"), "gold", "event_on", 120),
        Table("gold_label_rows", "Entity rows for training: each added item and what preceded it", ("visitor_id", "event_id"), "gold",
              "event_on", 120),
        Table("gold_training_examples", "What Feast's historical retrieval returns for the label rows", ("visitor_id", "event_id"),
              "feature_repo training-set", None, 30),
        Table("gold_item_embeddings", "Item vectors of a model at a cut", ("item_id", "cut_on"), "models embed", "cut_on",
              120),
        Table("gold_user_embeddings", "User vectors of a model at a cut", ("user_id", "cut_on"), "user_vectors", "cut_on",
              120),
        Table("gold_recommendations", "The daily list of each user", ("user_id", "rank", "cut_on"), "lists", "cut_on", 60),
        Table("bronze_decisions", "Decisions as the scorer wrote them", ("decision_id",), "decisions", "decided_on", 120),
    )
}  # fmt: skip


def table_named(name: str) -> Table:
    """The declared table; KeyError names what is not declared."""
    return TABLES[name]
