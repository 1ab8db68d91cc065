"""What a client sees: refusals as problem+json, readiness, the OpenAPI page, metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scorer.service import Options
from tests.scorer.kit import Running, publish, scorer, snapshot, unique, until

HOME = "/v1/placements/home:recommend"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b'{"visitor_id": "\xff"}', 400, "not JSON"),
        (b"[" * 100_000, 422, "Expected `object`"),
        (b"[]", 422, "Expected `object`"),
        (b"{}", 422, "visitor_id"),
        (b'{"visitor_id": ""}', 422, "$.visitor_id"),
        (b'{"visitor_id": "a\\u0000b"}', 422, "$.visitor_id"),
        (b'{"visitor_id": "v\\n"}', 422, "$.visitor_id"),
        (b'{"visitor_id": "v", "count": 0}', 422, "$.count"),
        (b'{"visitor_id": "v", "count": 101}', 422, "at most 100"),
        (b'{"visitor_id": "v", "count": "3"}', 422, "$.count"),
        (b'{"visitor_id": "v", "excluded": []}', 422, "unknown field `excluded`"),
        (b'{"visitor_id": "v", "context": []}', 422, "$.context"),
        (b'{"visitor_id": "v", "context": {"device": ""}}', 422, "$.context.device"),
        (b'{"visitor_id": "v", "context": {"channel": 7}}', 422, "$.context.channel"),
        (b'{"visitor_id": "v", "context": {"country": "a\\u0000b"}}', 422, "$.context.country"),
        (
            json.dumps({"visitor_id": "v", "context": {"campaign": "c" * 65}}).encode(),
            422,
            "$.context.campaign",
        ),
        (b'{"visitor_id": "v", "filter": {"max_price": "cheap"}}', 422, "$.filter.max_price"),
        (b'{"visitor_id": "v", "filter": {"min_price": 3}}', 422, "$.filter.min_price"),
        (b'{"visitor_id": "v", "filter": {"category": ["home"]}}', 422, "unknown field `category`"),
        (b'{"visitor_id": "v", "context": {"locale": "en"}}', 422, "unknown field `locale`"),
        (b'{"visitor_id": "v", "exclude_items": [""]}', 422, "$.exclude_items[0]"),
        (json.dumps({"visitor_id": "v", "exclude_items": ["i"] * 1001}).encode(), 422, "$.exclude_items"),
        (b'{"visitor_id": "' + b"v" * 600_000 + b'"}', 413, "524288 bytes"),
    ],
)
def test_a_bad_body_is_refused_and_told_why(braid: Running, body: bytes, status: int, says: str) -> None:
    answer = braid.request("POST", HOME, content=body)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["instance"]) == (status, status, HOME)
    assert says in problem["detail"]


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({}, "abcde"),
        ({"categories": ["home"]}, "b"),
        ({"categories": ["home", "garden"]}, "bd"),
        ({"brands": ["acme"]}, "ac"),
        ({"brands": ["acme"], "max_price": "2.50"}, "a"),
        ({"min_price": "1", "max_price": "3.00"}, "abe"),
        ({"categories": ["nowhere"]}, ""),
    ],
)
def test_a_filter_bounds_what_is_shown(braid: Running, asked: dict[str, Any], left: str) -> None:
    answer = braid.recommend(visitor_id=unique("v"), filter=asked)
    assert "".join(item["item_id"] for item in answer["results"]) == left


def test_what_is_not_there_is_404(braid: Running) -> None:
    answer = braid.request("POST", "/v1/placements/nowhere:recommend", json={"visitor_id": "v"})
    assert answer.status_code == 404
    assert "'nowhere'" in answer.json()["detail"]
    assert "home" in answer.json()["detail"]
    for method, path, status in (("GET", "/v2", 404), ("GET", HOME, 405)):
        answer = braid.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_before_the_first_publish_it_is_alive_and_says_what_is_missing(
    options: Options, tmp_path: Path
) -> None:
    with scorer(replace(options, serving=tmp_path)) as fresh:
        assert fresh.request("GET", "/healthz").status_code == 200
        for answer in (
            fresh.request("GET", "/readyz"),
            fresh.request("POST", HOME, json={"visitor_id": "v"}),
        ):
            assert answer.status_code == 503
            assert "nothing was published" in answer.json()["missing"][0]
        version = publish(tmp_path, snapshot())
        fresh.wait(fresh.service.follower.look())
        # What lies in the topics is read beside this.
        until(lambda: fresh.request("GET", "/readyz").is_success)
        ready = fresh.request("GET", "/readyz")
        assert (ready.status_code, ready.json()["snapshot_version"]) == (200, version)


def test_metrics_count_requests_by_status_and_rung(braid: Running) -> None:
    def count(**labels: str) -> float:
        return braid.metric("requests_total", **labels)

    popular = {"verb": "recommend", "placement": "cart", "status": "200", "rung": "popular"}
    unknown = {"verb": "recommend", "placement": "unknown", "status": "404", "rung": ""}
    before = count(**popular), count(**unknown)
    braid.recommend("cart", visitor_id=unique("v"))
    braid.request("POST", "/v1/placements/x:recommend", json={})
    assert (count(**popular), count(**unknown)) == (before[0] + 1, before[1] + 1)
    page = braid.request("GET", "/metrics").text
    assert "braid_scorer_request_seconds_bucket" in page
    assert 'braid_scorer_snapshot_info{kind="item_knn",model_version="knn-1"' in page


def test_openapi_describes_what_is_accepted_and_answered(braid: Running) -> None:
    page = braid.request("GET", "/openapi.json").json()
    answer = braid.recommend(visitor_id=unique("v"))
    route = page["paths"]["/v1/placements/{placement}:recommend"]["post"]
    _validator(page, route["responses"]["200"]).validate(answer)
    request = _validator(page, route["requestBody"])
    request.validate({"visitor_id": "v", "count": 5, "context": {"device": "mobile", "country": None}})
    for refused in (
        {},
        {"visitor_id": "v", "count": 0},
        {"visitor_id": "v", "x": 1},
        {"visitor_id": "v", "context": {"device": "d" * 33}},
        {"visitor_id": "a\u0000"},
    ):
        assert not request.is_valid(refused)
    assert set(page["paths"]) >= {"/v1/events", "/healthz", "/readyz", "/metrics"}
    assert braid.request("GET", "/docs").status_code == 200


def _validator(page: dict[str, Any], part: dict[str, Any]) -> jsonschema.Draft202012Validator:
    schema = part["content"]["application/json"]["schema"]
    return jsonschema.Draft202012Validator({**schema, "components": page["components"]})
