"""The secrets that a configuration names: each account's key and the server's token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fluence_costwatch.config.locate import Place
from fluence_costwatch.config.problems import Findings, dotted, listed, shown
from fluence_costwatch.config.secret import Secret, parse_secret
from fluence_costwatch.config.values import is_loopback, parse_listen

KEY_FORMS: Final = ("api_key_file", "api_key_env", "api_key")


def account_key(
    account: Mapping[str, object], *, at: int, place: Place, findings: Findings, read_secrets: bool
) -> Secret:
    """The key of the account at this index of the file; where it cannot be had, the reason is noted.

    It takes the table as it stands in the file, so that a mistake elsewhere in it hides nothing here.
    """
    given = [form for form in KEY_FORMS if form in account]
    if len(given) != 1:
        found = f"both {listed(given, last='and')} are" if given else "none is"
        findings.problem(dotted("accounts", at), f"needs exactly one of {listed(KEY_FORMS)}; {found} given")
        return Secret(None)
    form, value = given[0], account[given[0]]
    if not isinstance(value, str) or (not read_secrets and form != "api_key"):
        return Secret(None)  # what is not text has been noted where the table was read
    where = dotted("accounts", at, form)
    if form == "api_key_file":
        return secret_file(value, where=where, place=place, findings=findings)
    try:
        if form == "api_key_env":
            return _from_environment(value, place.environ)
        if not place.private:
            raise ValueError(
                "a key may stand in the configuration only where nobody else can read that; run chmod 600 on it, "
                'or move the key to a file of its own and name that in "api_key_file"'
            )
        return parse_secret(value)
    except ValueError as error:
        findings.problem(where, str(error))
        return Secret(None)


def server_token(
    server: Mapping[str, object], *, place: Place, findings: Findings, read_secrets: bool
) -> Secret | None:
    """The token that reading needs; None where none is asked for, which only loopback permits."""
    name = server.get("token_file")
    if name is None:
        _note_open_server(server, findings)
        return None
    if not isinstance(name, str) or not read_secrets:
        return Secret(None)
    return secret_file(name, where="server.token_file", place=place, findings=findings)


def secret_file(name: str, *, where: str, place: Place, findings: Findings) -> Secret:
    """The secret in the file `name`; what is wrong or unwise about it is noted at `where`."""
    try:
        secret, remark = place.read_secret(name)
    except ValueError as error:
        findings.problem(where, str(error))
        return Secret(None)
    if remark is not None:
        findings.remark(where, remark)
    return secret


def note_shared_keys(keys: Sequence[Secret], findings: Findings) -> None:
    """Remark on accounts with one key: they list the same resources, which are charged under the first."""
    first: dict[Secret, int] = {}
    for index, key in enumerate(keys):
        if key.is_read and first.setdefault(key, index) != index:
            owner = dotted("accounts", first[key])
            findings.remark(
                dotted("accounts", index), f"has the same key as {owner}; what both list is charged under that one"
            )


def _from_environment(variable: str, environ: Mapping[str, str]) -> Secret:
    # The name is not quoted: it might be the key itself, pasted in the wrong place.
    text = environ.get(variable)
    if text is None:
        raise ValueError("there is no environment variable of this name")
    try:
        return parse_secret(text)
    except ValueError as error:
        raise ValueError(f"the environment variable {error}") from None


def _note_open_server(server: Mapping[str, object], findings: Findings) -> None:
    listen = server.get("listen")
    try:
        reachable = listen is not None and not is_loopback(parse_listen(listen)[0])
    except ValueError:
        return  # noted where the table was read
    if reachable:
        findings.problem(
            "server.token_file", f"must be given, because others can reach server.listen = {shown(listen)}"
        )
    elif server.get("metrics_without_token") is True:
        findings.remark("server.metrics_without_token", "has no effect without server.token_file")
