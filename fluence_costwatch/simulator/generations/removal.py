"""`DELETE /vms/v3`: the one call that both `vms-v2` and `vms-v3` delete with."""

from __future__ import annotations

from typing import Any

from ..fleet import Vm, address_like
from ..market import Market
from ..wire import Answer, BadRequest, Request, Route, error

REMOVE_PATH = "/vms/v3"


def remove(market: Market, request: Request) -> Answer:
    """Mark live VMs for deletion, remove ended ones. An id that is not the account's own: 404, and nothing is deleted."""
    body = request.json_object()
    accepted = market.options.delete_body
    words: Any
    if set(body) == {"vmId"} and accepted in ("vmId", "both"):
        words, single = [body["vmId"]], True
    elif set(body) == {"vmIds"} and accepted in ("vmIds", "both"):
        words, single = body["vmIds"], False
    else:
        wanted = "vmId or vmIds" if accepted == "both" else accepted
        raise BadRequest(f"Json deserialize error: expected {wanted}, not {sorted(body)}")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadRequest("Json deserialize error: ids are strings")
    own = {vm.id.lower(): vm for vm in market.vms(request.account) if not vm.removed}
    if unknown := [word for word in words if word.lower() not in own]:
        return error(404, f"VM not found: {', '.join(unknown)}")
    chosen = [own[word.lower()] for word in words]
    for vm in chosen:
        market.delete(vm)
    return Answer(200) if single else Answer(200, _receipt(chosen, request))


def _receipt(vms: list[Vm], request: Request) -> dict[str, list[str]]:
    transactions = [address_like("transaction", request.number, vm.id, length=64).lower() for vm in vms]
    return {"removed_ids": [vm.id for vm in vms], "transactions": transactions}


ROUTE = Route("DELETE", REMOVE_PATH, remove)
