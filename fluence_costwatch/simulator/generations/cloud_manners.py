"""What `cloud-v2` says where something goes wrong: only a text at first, then a code too, then details."""

from __future__ import annotations

from ..options import Options
from ..wire import Answer, Manners

CODES: dict[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    406: "not_acceptable",
    409: "conflict",
    422: "unprocessable_entity",
    503: "service_unavailable",
}
STATUSES: dict[str, int] = {code: status for status, code in CODES.items()} | {"insufficient_balance": 406}
PUBLISHED_CODES = (*CODES.values(), "insufficient_balance", "internal_server_error")
"""Those of specification 0.10; later ones have more."""


def cloud_error(options: Options, status: int, text: str, code: str | None) -> Answer:
    """The body that the specification has; a code that it does not know yet becomes that of the status."""
    if options.spec == "0.8":
        return Answer(status, {"error": text})
    by_status = CODES.get(status, "internal_server_error")
    known = code is not None and (code in PUBLISHED_CODES or options.spec == "0.13")
    body = {"code": code if known else by_status, "error": text}
    if options.spec == "0.13" and status == 422:
        return Answer(status, {**body, "violations": [{"code": body["code"], "message": text}]})
    return Answer(status, body)


MANNERS = Manners(
    error=cloud_error,
    bad_key=(401, "Missing or invalid API key"),
    refused=lambda code: STATUSES.get(code, 422),
    api_key_only=True,
)
