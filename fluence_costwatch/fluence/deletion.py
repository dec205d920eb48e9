"""Ending what bills: one call for each generation, sent once, with one id (`fluence-api.md` 0.2, 1 and 7 #7 to #10).

Paths of different generations differ in the order of words only: `DELETE /vms/v3` ends live machines, `DELETE /v3/vms/{id}`
discards drafts. So each call is written out here, and nothing is derived from another path.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from fluence_costwatch.core.deletion.deletions import Deletion
from fluence_costwatch.core.resources import Generation, Kind
from fluence_costwatch.errors import FluenceRefused, FluenceUnavailable, FluenceUnexpected
from fluence_costwatch.fluence.connection import NOT_FOUND, Connection
from fluence_costwatch.fluence.discovery import STATUS_PATH
from fluence_costwatch.fluence.gpu import LISTS
from fluence_costwatch.fluence.wire import decoded, unexpected
from fluence_costwatch.http_client import HttpFailure

REMOVE_PATH: Final = "/vms/v3"
VM_IDS: Final = "vmIds"
VM_ID: Final = "vmId"

_GPU_PATHS: Final = {kind: path for kind, _, path in LISTS}
_NOTHING_SENT_AGAIN: Final = "It is not sent again; the next lists show whether the resource has gone."


class _Service(msgspec.Struct, rename="camel"):
    maintenance_mode: bool


_SERVICE: Final = msgspec.json.Decoder(_Service)


class FluenceDeleter:
    """The side of one account's marketplace that ends things (`ports.Deleter`).

    `delete_body` is the key of the body that a `vms-v2` account sends, as the API's own pages changed it.
    """

    def __init__(self, connection: Connection, *, delete_body: str = VM_ID) -> None:
        if delete_body not in (VM_ID, VM_IDS):
            raise ValueError(f"delete_body is {VM_ID!r} or {VM_IDS!r}, not {delete_body!r}")
        self._connection = connection
        self._delete_body = delete_body

    def delete(self, deletion: Deletion) -> None:
        """Ask for one deletion, once. An answer of success says that it was taken, not that anything has gone.

        Raises FluenceRefused or FluenceUnexpected where the API said no, or nothing was sent; FluenceUnavailable where the
        request may or may not have been taken, also where the API does not know the id: it may have gone already.
        """
        method, path, content = self._call(deletion)
        http = self._connection.to(deletion.generation)
        try:
            http.send(method, path, content=content)
        except HttpFailure as exc:
            if exc.status in (401, 403):
                raise FluenceRefused(
                    f"{exc} The key may not delete; check `delete_api_key_file` (or `api_key_file`) and the scopes of the "
                    "key. Nothing was deleted, and the next charge falls due."
                ) from exc
            if exc.may_have_arrived or exc.status in NOT_FOUND or exc.status == 429:
                raise FluenceUnavailable(f"{exc} {_NOTHING_SENT_AGAIN}") from exc
            if exc.status is None:
                raise FluenceUnexpected(f"{exc} Nothing was deleted, and the next charge falls due.") from exc
            passing = " That may pass." if exc.status in (406, 409) else ""
            raise FluenceUnexpected(f"{exc}{passing} Nothing was deleted, and the next charge falls due.") from exc

    def maintenance(self, generation: Generation) -> bool:
        """Whether the marketplace says that it is under maintenance; it is only asked where it can say so (`cloud-v2`).

        Raises FluenceError where it should say and does not.
        """
        if generation is not Generation.CLOUD_V2:
            return False
        body = self._connection.to(generation).get(STATUS_PATH).body
        try:
            return decoded(body, _SERVICE).maintenance_mode
        except (ValueError, RecursionError) as exc:
            raise unexpected(
                f"it does not say whether there is maintenance ({exc})", what="state of the service"
            ) from exc

    def _call(self, deletion: Deletion) -> tuple[str, str, object]:
        """Method, path and body that end `deletion`. Raises FluenceUnexpected for what is never deleted by this program."""
        id_ = quote(deletion.target_id, safe="")
        match deletion.generation, deletion.kind:
            case Generation.VMS_V2, Kind.VM:
                ids: object = deletion.target_id if self._delete_body == VM_ID else [deletion.target_id]
                return "DELETE", REMOVE_PATH, {self._delete_body: ids}
            case Generation.VMS_V3, Kind.VM:
                return "DELETE", REMOVE_PATH, {VM_IDS: [deletion.target_id]}
            case Generation.CLOUD_V2, Kind.VM:
                return "POST", f"/v2/vms/{id_}/terminate", None
            case Generation.CLOUD_V2, Kind.PUBLIC_IP:
                return "DELETE", f"/v1/public_ips/{id_}", None
            case Generation.GPU, kind if kind in _GPU_PATHS:
                return "DELETE", f"{_GPU_PATHS[kind]}{id_}", None
        raise FluenceUnexpected(
            f"A {deletion.kind} of {deletion.generation} is never deleted by CostWatch; nothing was sent."
        )
