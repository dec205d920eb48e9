"""The API as customers see it: which path is meant, whose key it is, what the answer is and how it is distorted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .delivery import HTML_TYPE, PAGE
from .distortions import distort
from .generations import ROUTES
from .keys import Key
from .market import Market
from .misbehaviour import Misbehaviour
from .pages import cut
from .refusals import NoSuch, Refused
from .wire import OLD_MANNERS, Answer, BadRequest, Manners, Request, Route

EXPIRED = "API key has expired"
GPU_PREFIX = "/gpu/"


class Api:
    """Answers requests to all paths that any account speaks; the market must have settled before."""

    def __init__(self, market: Market, misbehaviour: Misbehaviour) -> None:
        self._market = market
        self._misbehaviour = misbehaviour
        self._options = options = market.options
        self._spoken = {account.name: account.generations or options.generations for account in options.accounts}
        self._routes = [
            (name, route)
            for name in ROUTES
            if name in options.generations or any(name in own for own in self._spoken.values())
            for route in ROUTES[name]
            if route.spoken(options)
        ]
        self._count = 0

    def account_of(self, target: str, headers: dict[str, str]) -> str | None:
        """Whose key a request carries; None for one that opens nothing."""
        key = self._key_in(headers, self._manners(urlsplit(target).path))
        return None if key is None else key.account

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer, distorted where the marketplace was told to."""
        parts = urlsplit(target)
        self._count += 1
        answer = self._answer(method, parts.path, parts.query, headers, body)
        if not answer.listed:
            return answer
        return self._distorted(answer, method, parts.path, self.account_of(target, headers))

    def explain(self, target: str, status: int) -> Answer:
        """How an error without any reason looks on that path."""
        manners = self._manners(urlsplit(target).path)
        return manners.error(self._options, status, manners.phrase(status), None)

    def _answer(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        found = self._found(path)
        manners = self._manners(path)
        route, holes = next(((r, h) for _, r, h in found if r.method == method), (None, {}))
        if not found:
            return self._not_found(manners)
        if route is None:
            return manners.error(self._options, 405, "Method Not Allowed", None)
        key = self._key_in(headers, route.manners)
        if not route.open:
            if key is None or key.expired:
                status, text = route.manners.bad_key
                return route.manners.error(self._options, status, text if key is None else EXPIRED, None)
            if not any(name in self._spoken[key.account] for name, r, _ in found if r.method == method):
                return self._not_found(manners)
            if refusal := self._refusal(route, key, path):
                return route.manners.error(self._options, 403, refusal, None)
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        account = next(iter(self._spoken)) if key is None else key.account
        shown = Key(account) if key is None else key
        return self._carry_out(route, Request(account, dict(pairs), body, self._count, pairs, holes, shown))

    def _found(self, path: str) -> list[tuple[str, Route, dict[str, str]]]:
        """The routes of this very path, else those whose holes it fills."""
        matches = [(name, route, route.match(path)) for name, route in self._routes]
        found = [(name, route, holes) for name, route, holes in matches if holes is not None]
        return [item for item in found if item[1].path == path] or found

    def _manners(self, path: str) -> Manners:
        return next((route.manners for _, route, _ in self._found(path)), OLD_MANNERS)

    def _not_found(self, manners: Manners) -> Answer:
        if self._options.not_found == "html":
            return Answer(404, text=PAGE.decode().replace("Bad gateway", "Not found"), content_type=HTML_TYPE)
        return manners.error(self._options, 404, "Not Found", None)

    def _refusal(self, route: Route, key: Key, path: str) -> str | None:
        if route.scope is not None and route.scope not in key.scopes:
            return f"Missing scope {route.scope}"
        return "Read-only keys are not accepted" if path.startswith(GPU_PREFIX) and key.reads_only else None

    def _distorted(self, answer: Answer, method: str, path: str, account: str | None) -> Answer:
        page, inner = answer.page, isinstance(answer.value, dict)
        rows = page.rows if page is not None else answer.value["items"] if inner else answer.value
        for fault in self._misbehaviour.take_distortions(method, path, account):
            rows = distort(rows, fault.kind, fault.params)
        if page is not None:
            faults = self._misbehaviour.take_page_faults(method, path, account, page=page.index + page.base)
            value: Any = cut(replace(page, rows=rows), [(fault.kind, fault.params) for fault in faults])
        else:
            value = {**answer.value, "items": rows} if inner else rows
        return replace(answer, value=value, page=None)

    def _carry_out(self, route: Route, request: Request) -> Answer:
        manners = route.manners
        try:
            return route.answer(self._market, request)
        except BadRequest as exc:
            return manners.error(self._options, 400, str(exc), None)
        except NoSuch as exc:
            return manners.error(self._options, 404, str(exc), None)
        except Refused as exc:
            return manners.error(self._options, manners.refused(exc.code), str(exc), exc.code)

    def _key_in(self, headers: dict[str, str], manners: Manners) -> Key | None:
        """The key that the request carries; where there are two, only that of a bearer counts, which newer ones refuse."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer"
        if manners.api_key_only:
            return None if bearer else self._market.keys.get(headers.get("x-api-key", ""))
        accepted = self._options.auth
        if "authorization" in headers and accepted != "x-api-key":
            return self._market.keys.get(token.strip()) if bearer else None
        return self._market.keys.get(headers.get("x-api-key", "")) if accepted != "bearer" else None
