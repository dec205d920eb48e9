"""The Fluence client against the published specification, where that lies beside the project.

Every request that it sends is one of the specification's, and it reads every answer that the specification allows, or
refuses it with an error of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from fluence_costwatch.core.resources import Generation, Kind
from fluence_costwatch.errors import FluenceError
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.ports import Listing
from tests.servers.marketplace import KEY, marketplace
from tests.servers.scripted import Scripted, scripted

FILE = Path(__file__).resolve().parents[2].parent / "shared" / "fluence-openapi-0.10.0.json"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE.name} is not there; it is not part of the project")

PATHS = (
    "/v2/vms",
    "/v1/storages",
    "/v1/public_ips",
    "/v1/prices/vm",
    "/v1/prices/storage",
    "/v1/prices/public-ip",
    "/v1/clusters",
    "/v2/users/balances",
    "/v2/top-ups",
    "/v1/billing/charges/aggregated",
    "/v1/users/me",
    "/v1/service/status",
)
"""Every path of the specification that the client asks for; the other generations are not in it."""

# Of the newest server, which the specification does not describe, and of the other generations.
BEYOND = re.compile(r"/v3/vms|/vms/v[23]|/gpu/.*")


@cache
def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return parsed


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference stands for."""
    while "$ref" in schema:
        target: Any = document()
        for name in schema["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        schema = target
    return schema


def valid(value: Any, schema: dict[str, Any]) -> bool:
    whole = schema | {"components": document()["components"]}
    return Draft202012Validator(whole, format_checker=FormatChecker()).is_valid(value)


# Requests.


def as_typed(text: str, schema: dict[str, Any]) -> Any:
    """A parameter as the type that its schema wants, where its text is one."""
    kind = resolved(schema).get("type")
    if kind == "integer":
        return int(text) if re.fullmatch(r"-?[0-9]+", text) else text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


def problems_of(method: str, target: str, key_in: tuple[str, ...]) -> list[str]:
    """Where a request differs from the specification; it says nothing of paths that are not in it."""
    path = urlsplit(target).path
    operation = document()["paths"].get(path, {}).get(method.lower())
    if operation is None:
        return [f"{method} {path} is not in it"]
    allowed = {each["name"]: each for each in operation.get("parameters", []) if each["in"] == "query"}
    sent: dict[str, list[str]] = {}
    for name, value in parse_qsl(urlsplit(target).query, keep_blank_values=True, strict_parsing="?" in target):
        sent.setdefault(re.sub(r"\[[0-9]+\]$", "", name), []).append(value)
    problems = [f"{name} is no parameter" for name in sent if name not in allowed]
    problems += [f"{name} is missing" for name, each in allowed.items() if each.get("required") and name not in sent]
    for name, values in sent.items():
        if name in allowed:
            schema = allowed[name]["schema"]
            is_list = resolved(schema).get("type") == "array"
            typed: Any = (
                [as_typed(text, resolved(schema)["items"]) for text in values]
                if is_list
                else as_typed(values[0], schema)
            )
            problems += [] if valid(typed, schema) and (is_list or len(values) == 1) else [f"{name} is {values}"]
    header = document()["components"]["securitySchemes"]["api_key"]["name"].lower()
    if key_in != (header,):
        problems.append(f"the key is in {key_in}")
    return problems


def ask_everything(url: str, **options: Any) -> list[Callable[[], object]]:
    cloud = FluenceCloud(
        account="main",
        api_url=url,
        api_key=KEY,
        clock=lambda: START,
        attempts=1,
        deadline=timedelta(seconds=5),
        **options,
    )
    billing = cloud.billing()
    return [
        lambda: cloud.look(Generation.CLOUD_V2),
        lambda: cloud.look(Generation.GPU),
        billing.balances,
        billing.top_ups,
        lambda: billing.charges(since=date(2026, 1, 1), until=date(2026, 3, 1)),
        billing.permissions,
        cloud.discovery().probe,
        cloud.close,
    ]


@pytest.mark.parametrize("prices_shown", [True, False])
def test_every_request_is_one_of_the_specification(prices_shown: bool) -> None:
    options: dict[str, Any] = {"page_size": 2, "max_page_size": 2, "prices_shown": prices_shown}
    with marketplace(start=START, generations=("cloud-v2", "gpu"), **options) as market:
        for number in range(5):
            market.create_vm_cloud(f"vm-{number}")
        market.top_up("10")
        for ask in ask_everything(market.url):
            ask()
        asked = market.requests()
        targets = {(each.method, each.path): each.key_in for each in asked}

    assert {} == {
        f"{method} {target}": problems
        for (method, target), key_in in targets.items()
        if not BEYOND.fullmatch(urlsplit(target).path) and (problems := problems_of(method, target, key_in))
    }
    assert {""} == {each.body for each in asked}
    found = {urlsplit(target).path for _, target in targets if not BEYOND.fullmatch(urlsplit(target).path)}
    assert set(PATHS if not prices_shown else [path for path in PATHS if "/prices/" not in path]) == found


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/v2/vms?page=x", "page is ['x']"),
        ("/v2/vms?per_page=5", "per_page is no parameter"),
        ("/v2/vms?status[0]=brandnew", "status is ['brandnew']"),
        ("/v1/billing/charges/aggregated?startDate=2026-03-01", "endDate is missing"),
        ("/v1/billing/charges/aggregated?startDate=2026-13-01&endDate=2026-03-01", "startDate is ['2026-13-01']"),
        ("/vms/v3", "GET /vms/v3 is not in it"),
    ],
)
def test_the_check_of_requests_finds(target: str, problem: str) -> None:
    assert [problem] == problems_of("GET", target, ("x-api-key",))


# Answers.

TEXTS = st.text(max_size=8)
INSTANTS = st.datetimes(min_value=datetime(2019, 1, 1), max_value=datetime(2031, 1, 1)).map(  # noqa: DTZ001  # the zone follows
    lambda at: at.isoformat() + "Z"
)
AMOUNTS = st.decimals(min_value=-10, max_value=10**6, places=8, allow_nan=False).map(str)


def values_of(schema: dict[str, Any], *, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a schema allows, of the keywords that the specification uses."""
    if "$ref" in schema:
        return st.deferred(lambda: values_of(resolved(schema), depth=depth))
    if "oneOf" in schema:
        return st.one_of([values_of(each, depth=depth) for each in schema["oneOf"]])
    if "allOf" in schema:
        return st.tuples(*(values_of(each, depth=depth) for each in schema["allOf"])).map(
            lambda parts: {name: value for part in parts for name, value in part.items()}
        )
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return st.one_of([values_of(schema | {"type": kind}, depth=depth) for kind in kinds])
    if kinds == "object":
        required = set(schema.get("required", ()))
        fields = {name: values_of(each, depth=depth + 1) for name, each in schema.get("properties", {}).items()}
        return st.fixed_dictionaries(
            {name: value for name, value in fields.items() if name in required},
            optional={name: value for name, value in fields.items() if name not in required},
        )
    if kinds == "array":
        items = values_of(schema["items"], depth=depth + 1)
        return st.lists(items, max_size=3, unique_by=repr if schema.get("uniqueItems") else None)
    return scalars_of(schema, kinds)


def scalars_of(schema: dict[str, Any], kind: str | None) -> st.SearchStrategy[Any]:
    values = plain_of(schema, kind)
    return st.one_of(st.just(schema["example"]), values) if "example" in schema and kind != "null" else values


def plain_of(schema: dict[str, Any], kind: str | None) -> st.SearchStrategy[Any]:
    match kind, schema.get("format"):
        case "null", _:
            return st.none()
        case "boolean", _:
            return st.booleans()
        case "integer", _:
            return st.integers(schema.get("minimum", -(10**6)), 10**12)
        case "string", "uuid":
            return st.uuids().map(str)
        case "string", "date-time":
            return INSTANTS
        case "string", _:
            return st.one_of(TEXTS, AMOUNTS, INSTANTS)
    raise AssertionError(f"the specification uses a schema that this test does not know: {schema}")


def schema_of(path: str) -> dict[str, Any]:
    content: dict[str, Any] = document()["paths"][path]["get"]["responses"]["200"]["content"]
    schema: dict[str, Any] = content["application/json"]["schema"]
    return schema


@cache
def answers_of(path: str) -> st.SearchStrategy[Any]:
    """Answers that the specification allows for `path`; those in pages say often enough how many items they have."""
    plain = values_of(schema_of(path))
    if "pagination" not in resolved(schema_of(path)).get("properties", {}):
        return plain

    return st.one_of(plain, plain.map(lambda page: whole(page["items"])))


def readings(server: Scripted) -> list[str]:
    """What becomes of everything that can be asked: its result or its error, and nothing else."""
    outcomes = []
    for ask in ask_everything(server.url):
        try:
            outcomes.append(type(ask()).__name__)
        except FluenceError as error:
            outcomes.append(error.reason if str(error).isprintable() else repr(error))
    return outcomes


@pytest.fixture(scope="module")
def server() -> Any:
    with scripted({}) as running:
        yield running


@given(answers=st.deferred(lambda: st.fixed_dictionaries({path: answers_of(path) for path in PATHS})))
def test_every_answer_that_the_specification_allows_is_read_or_refused(
    server: Scripted, answers: dict[str, Any]
) -> None:
    server.paths = dict(answers)

    reasons = {error.reason for error in FluenceError.__subclasses__()}
    kinds = {"Listing", "tuple", "Permissions", "NoneType"}
    assert reasons | kinds >= set(readings(server))


@given(
    pages=st.deferred(
        lambda: st.tuples(
            *(st.lists(items_of(path), max_size=3) for path in ("/v2/vms", "/v1/storages", "/v1/public_ips"))
        )
    ),
    catalogue=st.deferred(lambda: st.fixed_dictionaries({path: answers_of(path) for path in PATHS[3:7]})),
)
def test_whole_lists_that_the_specification_allows_are_read(
    server: Scripted, pages: tuple[list[dict[str, Any]], ...], catalogue: dict[str, Any]
) -> None:
    numbered = numbers()
    for item in (item for page in pages for item in page):
        item["id"] = next(numbered)
    lists = {path: whole(page) for path, page in zip(PATHS, pages, strict=False)}
    server.paths = lists | catalogue

    listing = look(server)

    kinds = (Kind.VM, Kind.STORAGE, Kind.PUBLIC_IP)
    assert [len(page) for page in pages] == [sum(r.kind is kind for r in listing.resources) for kind in kinds]
    items = {item["id"]: item for page in pages for item in page}
    for resource in listing.resources:
        item = items[resource.id]
        assert (item["name"], item["status"]) == (resource.name, resource.status)
        if resource.price is not None and item.get("priceHourlyUsd") is not None:
            assert Decimal(item["priceHourlyUsd"]) == resource.price >= 0


def examples() -> list[tuple[str, int, dict[str, Any]]]:
    """Every example of an answer that the specification has, once for each status."""
    if not FILE.exists():
        return []
    found = {}
    for operations in document()["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                for kind, content in response.get("content", {}).items():
                    if "example" in content:
                        key = (int(status), json.dumps(content["example"], sort_keys=True))
                        found[key] = (kind, int(status), content["example"])
    return list(found.values())


@pytest.mark.parametrize(("kind", "status", "example"), examples(), ids=str)
def test_every_example_of_an_answer_is_read_or_refused(
    server: Scripted, kind: str, status: int, example: dict[str, Any]
) -> None:
    server.paths = dict.fromkeys(PATHS, lambda query: (status, example))

    outcomes = readings(server)

    assert "application/json" == kind
    # The GPU cloud is not there, a probe is never an error, and nothing comes of closing.
    expected = "refused" if status in (401, 403) else "unavailable" if status >= 500 else "unexpected"
    assert [expected, "unexpected", *[expected] * 4, "tuple", "NoneType"] == outcomes


def test_every_response_of_a_path_that_is_asked_has_a_form_that_is_tried() -> None:
    statuses = {status for path in PATHS for status in document()["paths"][path]["get"]["responses"]}

    assert statuses <= {"200"} | {str(status) for _, status, _ in examples()}


def items_of(path: str) -> st.SearchStrategy[dict[str, Any]]:
    return values_of(resolved(schema_of(path))["properties"]["items"]["items"])


def whole(items: list[dict[str, Any]]) -> dict[str, Any]:
    records = len(items)
    said = {"totalRecords": records, "filteredRecords": records, "totalPages": 1, "currentPage": 1, "perPage": 100}
    return {"items": items, "pagination": said}


def numbers() -> Iterator[str]:
    return (f"00000000-0000-4000-8000-{number:012d}" for number in count())


def look(server: Scripted) -> Listing:
    cloud = FluenceCloud(account="main", api_url=server.url, api_key=KEY, clock=lambda: START, attempts=1)
    try:
        return cloud.look(Generation.CLOUD_V2)
    finally:
        cloud.close()
