"""One connection for all reads: answers find who asked, whoever gave up or was cut off in between."""

from __future__ import annotations

import asyncio

import pytest
from redis import Redis
from redis.exceptions import RedisError

from contracts.features import CONSENT
from contracts.online import StoredRow, redis_key
from scorer.metrics import Metrics
from scorer.service import Options
from scorer.store import FeatureStore, RowKey, StoreUnavailableError
from tests.scorer.kit import PROJECT, Rows


def key(number: int) -> RowKey:
    return RowKey(CONSENT, {"shopper_id": f"visitor:line-{number}"})


def of(read: list[StoredRow | None]) -> list[object]:
    return [row and row.features["consent_session_id"] for row in read]


@pytest.fixture
def written(rows: Rows) -> None:
    for number in range(20):
        rows.put(CONSENT, key(number).key, {"consent_session_id": f"s{number}"}, at=1)


def store_of(options: Options, budget_seconds: float = 10.0) -> FeatureStore:
    return FeatureStore(options.redis_url, PROJECT, Metrics(), budget_seconds)


@pytest.mark.usefixtures("written")
def test_reads_at_once_get_their_own_answers(options: Options) -> None:
    async def check() -> None:
        store = store_of(options)
        wanted = [[n, (n + 1) % 20] for n in range(20)]
        reads = [asyncio.ensure_future(store.read([key(n) for n in numbers])) for numbers in wanted]
        await asyncio.sleep(0)
        # One gives up: its answers come all the same, and are nobody's.
        reads[3].cancel()
        found = await asyncio.gather(*reads, return_exceptions=True)
        assert isinstance(found[3], asyncio.CancelledError)
        for numbers, read in zip(wanted, found, strict=True):
            if isinstance(read, list):
                assert of(read) == [f"s{n}" for n in numbers]
        await store.close()

    asyncio.run(check())


@pytest.mark.usefixtures("written")
def test_a_line_that_is_cut_is_replaced(options: Options) -> None:
    async def check() -> None:
        store = store_of(options)
        assert of(await store.read([key(1)])) == ["s1"]
        with Redis.from_url(options.redis_url) as redis:
            redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(0.05)
        assert of(await store.read([key(2)])) == ["s2"]
        await store.close()

    asyncio.run(check())


@pytest.mark.usefixtures("written")
def test_a_silent_redis_is_left_and_asked_anew(options: Options) -> None:
    async def check() -> None:
        store, patient = store_of(options, 0.05), store_of(options)
        assert of(await store.read([key(1)])) == ["s1"]
        assert of(await patient.read([key(1)])) == ["s1"]
        with Redis.from_url(options.redis_url) as redis:
            redis.execute_command("CLIENT", "PAUSE", "300", "ALL")
        with pytest.raises(StoreUnavailableError, match="no answer in time"):
            await store.read([key(1)])
        assert of(await patient.read([key(3)])) == ["s3"]
        assert of(await store.read([key(2)])) == ["s2"]
        await store.close()
        await patient.close()

    asyncio.run(check())


def test_an_error_of_one_command_is_that_rows_alone(options: Options, rows: Rows, written: None) -> None:
    rows.redis.set(redis_key(PROJECT, key(50).key), b"not a hash")

    async def check() -> None:
        store = store_of(options)
        assert of(await store.read([key(1), key(50), key(2)])) == ["s1", None, "s2"]
        await store.close()
        # A refused connection is an error that says so.
        closed = FeatureStore("redis://127.0.0.1:1/0", PROJECT, Metrics(), 10.0)
        with pytest.raises(StoreUnavailableError, match="Redis failed") as error:
            await closed.read([key(1)])
        assert isinstance(error.value.__cause__, RedisError)
        await closed.close()

    asyncio.run(check())


def test_answers_of_a_wrong_form_are_no_rows() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Well-formed, and not what was asked for: an integer, an array of one, a text.
        wrong = b":1\r\n*1\r\n:1\r\n$2\r\nno\r\n"
        while await reader.read(100_000):
            writer.write(wrong)

    async def check() -> None:
        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        store = FeatureStore(f"redis://127.0.0.1:{port}/0", PROJECT, Metrics(), 5.0)
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                await store.read([key(1), key(2)])
        assert await store.ping() is not None
        await store.close()
        server.close()

    asyncio.run(check())
