"""Faults in what a list says: each changes its objects after they were rendered and before they are sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

JsonObject = dict[str, Any]

HOSTILE_NAMES: tuple[str, ...] = (
    "ctrl\x00\x01\x07\x08\x1b\x7f\x85",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    'line one\nfluence_costwatch_up{account="main"} 0\r\nline three\t',
    "<script>alert(1)</script> & <b>*bold*</b> `code` [link](http://x.invalid) {{ name }} %s {0}",
    "x" * 10_000,
    "\U0001f984\U0001f468\u200d\U0001f469\u200d\U0001f467 ｗｉｄｅ",
    "\u202egnp.exe\u202c \u2066isolated\u2069 \u200f\u200e\ufeff",
    "'; DROP TABLE charges; -- \" \\",
    "=1+1",
    "../../etc/passwd",
    " ",
    "",
)
ODD_DETAILS: tuple[Any, ...] = (None, [], "text", 7, 1.5, True, {"a": [{"b": None}]})
NAME_FIELDS = ("vmName", "name")
STATUS_FIELDS = ("status", "instance_status")
PRICE_FIELDS = ("pricePerEpoch", "priceHourlyUsd", "pricePerHourPerQty")
MALFORMED_INSTANT = "+002025-03-01T00:00:000000000Z"


def distort(vms: list[JsonObject], kind: str, params: JsonObject) -> list[JsonObject]:
    """The list as this fault leaves it; `vm` in the parameters names the only VM meant."""
    if kind in _LISTS:
        return _LISTS[kind](vms, params)
    chosen = str(params["vm"] or "").lower()
    for index, vm in enumerate(vms):
        if not chosen or str(vm.get("id")).lower() == chosen:
            _OBJECTS[kind](vm, params, index)
    return vms


def _missing_vm(vms: list[JsonObject], params: JsonObject) -> list[JsonObject]:
    chosen = _chosen(vms, params)
    return [vm for vm in vms if vm is not chosen]


def _duplicate_vm(vms: list[JsonObject], params: JsonObject) -> list[JsonObject]:
    chosen = _chosen(vms, params)
    return vms if chosen is None else [*vms, {**chosen, **(params["changes"] or {})}]


def _chosen(vms: list[JsonObject], params: JsonObject) -> JsonObject | None:
    word = str(params["vm"] or "").lower()
    return next((vm for vm in vms if not word or str(vm.get("id")).lower() == word), None)


def _id_case(vm: JsonObject, params: JsonObject, index: int) -> None:
    change: dict[str, Callable[[str], str]] = {"upper": str.upper, "lower": str.lower, "swap": str.swapcase}
    if isinstance(vm.get("id"), str):
        prefix = "0x" if vm["id"].startswith("0x") else ""
        vm["id"] = prefix + change[params["case"]](vm["id"].removeprefix(prefix))


def _hostile_name(vm: JsonObject, params: JsonObject, index: int) -> None:
    name = HOSTILE_NAMES[index % len(HOSTILE_NAMES)] if params["name"] is None else params["name"]
    vm[_field(vm, NAME_FIELDS)] = name


def _price(change: Callable[[Any], Any]) -> Callable[[JsonObject, JsonObject, int], None]:
    def apply(vm: JsonObject, params: JsonObject, index: int) -> None:
        priced = _priced(vm)
        field = _field(priced, PRICE_FIELDS)
        if priced.get(field) is not None:
            priced[field] = change(priced[field])

    return apply


def _priced(vm: JsonObject) -> JsonObject:
    """Where the price stands: in the object itself, or in the `priceInfo` of a price list's."""
    inner = vm.get("priceInfo")
    return inner if isinstance(inner, dict) else vm


def _field(vm: JsonObject, names: tuple[str, ...]) -> str:
    """What this field is called here."""
    return next((name for name in names if name in vm), names[0])


def _set_price(vm: JsonObject, params: JsonObject, index: int) -> None:
    priced = _priced(vm)
    priced[_field(priced, PRICE_FIELDS)] = params["value"]


def _drop_price(vm: JsonObject, params: JsonObject, index: int) -> None:
    priced = _priced(vm)
    priced.pop(_field(priced, PRICE_FIELDS), None)


def _set_status(vm: JsonObject, params: JsonObject, index: int) -> None:
    vm[_field(vm, STATUS_FIELDS)] = params["value"]


def _attached_to(vm: JsonObject, params: JsonObject, index: int) -> None:
    """Who uses a disk or an address, in another form: text, object, list or null."""
    given = vm.get("attachedTo")
    first = given[0] if isinstance(given, list) and given else given or None
    id = first.get("id") if isinstance(first, dict) else first
    forms: dict[str, Any] = {
        "string": id,
        "object": None if id is None else {"id": id, "name": "attached"},
        "list": [] if id is None else [id],
        "null": None,
    }
    vm["attachedTo"] = forms[params["form"]]


def _parts(vm: JsonObject) -> list[JsonObject]:
    return vm["resources"] if isinstance(vm.get("resources"), list) else []


def _negative(price: Any) -> Any:
    return -price if isinstance(price, int) else f"-{price}"


def _huge(price: Any) -> Any:
    return 10**30 if isinstance(price, int) else "1" + "0" * 30


def _too_precise(price: Any) -> str:
    return f"{_with_point(price)}0000001"


def _with_point(price: Any) -> str:
    """Dollars with six decimals, as text: what a whole number of base units must not be taken for."""
    if not isinstance(price, int):
        return str(price)
    return f"{price // 1_000_000}.{price % 1_000_000:06}"


def _date(vm: JsonObject, params: JsonObject, index: int) -> None:
    value = params["value"]
    is_long = isinstance(vm.get("pricePerEpoch"), int) and isinstance(value, str) and value[:1].isdigit()
    vm[params["field"]] = f"+00{value.removesuffix('Z')}.000000000Z" if is_long else value


def _details(vm: JsonObject, params: JsonObject, index: int) -> None:
    for number, part in enumerate(_parts(vm)):
        part["details"] = ODD_DETAILS[(index + number) % len(ODD_DETAILS)]


def _extra_fields(vm: JsonObject, params: JsonObject, index: int) -> None:
    extra = {"extraText": "new", "extraNumber": 1.5, "extraNull": None, "extraObject": {"deep": [{}]}}
    parts = [vm, *_parts(vm), *(vm.get("ports") or []), *filter(None, [vm.get("datacenter")])]
    for part in parts:
        part.update(extra)


def _supply_string(vm: JsonObject, params: JsonObject, index: int) -> None:
    for part in _parts(vm):
        for name in {"supply", "quantity"} & set(part):
            part[name] = str(part[name])


def _set_field(vm: JsonObject, params: JsonObject, index: int) -> None:
    vm[params["name"]] = params["value"]


def _drop_field(vm: JsonObject, params: JsonObject, index: int) -> None:
    vm.pop(params["name"], None)


_LISTS: dict[str, Callable[[list[JsonObject], JsonObject], list[JsonObject]]] = {
    "empty_list": lambda vms, params: [],
    "half_list": lambda vms, params: vms[::2],
    "missing_vm": _missing_vm,
    "duplicate_vm": _duplicate_vm,
    "not_objects": lambda vms, params: [*vms, *params["values"]],
}
_OBJECTS: dict[str, Callable[[JsonObject, JsonObject, int], None]] = {
    "id_missing": _drop_field,
    "id_null": _set_field,
    "id_case": _id_case,
    "hostile_name": _hostile_name,
    "unknown_status": _set_status,
    "null_status": _set_status,
    "attached_to": _attached_to,
    "price_float": _price(float),
    "price_null": _set_price,
    "price_missing": _drop_price,
    "price_negative": _price(_negative),
    "price_huge": _price(_huge),
    "price_text": _set_price,
    "price_too_precise": _price(_too_precise),
    "price_with_point": _price(_with_point),
    "price_digits": _price(str),
    "date_malformed": _date,
    "date_null": _date,
    "date_future": _date,
    "date_past": _date,
    "details_any": _details,
    "extra_fields": _extra_fields,
    "supply_string": _supply_string,
    "field": _set_field,
    "field_missing": _drop_field,
}
_ANY: JsonObject = {"vm": None}
DISTORTIONS: dict[str, JsonObject] = {
    **dict.fromkeys(_OBJECTS, _ANY),
    "empty_list": {},
    "half_list": {},
    "missing_vm": _ANY,
    "duplicate_vm": _ANY | {"changes": None},
    "not_objects": {"values": [None, 7, "vm", []]},
    "id_missing": _ANY | {"name": "id"},
    "id_null": _ANY | {"name": "id", "value": None},
    "id_case": _ANY | {"case": "swap"},
    "hostile_name": _ANY | {"name": None},
    "unknown_status": _ANY | {"value": "Hibernating"},
    "null_status": _ANY | {"value": None},
    "attached_to": _ANY | {"form": "string"},
    "price_null": _ANY | {"value": None},
    "price_text": _ANY | {"value": "free"},
    "date_malformed": _ANY | {"field": "nextBillingAt", "value": MALFORMED_INSTANT},
    "date_null": _ANY | {"field": "nextBillingAt", "value": None},
    "date_future": _ANY | {"field": "nextBillingAt", "value": "9999-12-31T23:59:59Z"},
    "date_past": _ANY | {"field": "nextBillingAt", "value": "1970-01-01T00:00:00Z"},
    "field": _ANY | {"name": "vmName", "value": None},
    "field_missing": _ANY | {"name": "vmName"},
}
"""Each kind with its parameters and their defaults; `vm` is the id of the only VM meant, None means all."""
