"""The secrets that a configuration names: the keys of accounts, the addresses of targets, the server's token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from fluence_costwatch.config.addresses import is_loopback, is_web_address, parse_listen
from fluence_costwatch.config.locate import Place
from fluence_costwatch.config.problems import Findings, dotted, listed, shown
from fluence_costwatch.config.secret import Secret, parse_secret, parse_secret_url

KEY_FORMS: Final = ("api_key_file", "api_key_env", "api_key")
URL_FORMS: Final = ("url_file", "url_env", "url")


def account_key(
    account: Mapping[str, object], *, at: int, place: Place, findings: Findings, read_secrets: bool
) -> Secret:
    """The key of the account at this index of the file; where it cannot be had, the reason is noted."""
    return _one_of(
        account,
        KEY_FORMS,
        at=("accounts", at),
        noun="a key",
        parse=parse_secret,
        place=place,
        findings=findings,
        read_secrets=read_secrets,
    )


def target_url(
    target: Mapping[str, object], *, at: int, place: Place, findings: Findings, read_secrets: bool
) -> Secret:
    """The address of the target at this index of the file; where it cannot be had, the reason is noted."""
    return _one_of(
        target,
        URL_FORMS,
        at=("targets", at),
        noun="an address that holds secrets",
        parse=parse_secret_url,
        place=place,
        findings=findings,
        read_secrets=read_secrets,
    )


def delete_key(
    account: Mapping[str, object], *, at: int, place: Place, findings: Findings, read_secrets: bool
) -> Secret | None:
    """The account's separate key for deleting; None where there is none."""
    name = account.get("delete_api_key_file")
    if name is None:
        return None
    if not isinstance(name, str) or not read_secrets:
        return Secret(None)
    return secret_file(name, where=dotted("accounts", at, "delete_api_key_file"), place=place, findings=findings)


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


def dead_man_url(
    notify: Mapping[str, object], *, place: Place, findings: Findings, read_secrets: bool
) -> Secret | None:
    """The http(s) address that is called after each good cycle; None where there is none."""
    name = notify.get("dead_man_url_file")
    if name is None:
        return None
    if not isinstance(name, str) or not read_secrets:
        return Secret(None)
    where = "notify.dead_man_url_file"
    secret = secret_file(name, where=where, place=place, findings=findings, parse=parse_secret_url)
    if secret.is_read and not is_web_address(secret.reveal()):
        findings.problem(where, "the address in the file must begin with https:// or http:// and name a host")
    return secret


def secret_file(
    name: str, *, where: str, place: Place, findings: Findings, parse: Callable[[str], Secret] = parse_secret
) -> Secret:
    """The secret in the file `name`; what is wrong or unwise about it is noted at `where`."""
    try:
        secret, remark = place.read_secret(name, parse=parse)
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


def _one_of(
    table: Mapping[str, object],
    forms: Sequence[str],
    *,
    at: tuple[str | int, ...],
    noun: str,
    parse: Callable[[str], Secret],
    place: Place,
    findings: Findings,
    read_secrets: bool,
) -> Secret:
    """The secret that stands in exactly one of these forms: a file, an environment variable, or itself.

    It takes the table as it stands in the file, so that a mistake elsewhere in it hides nothing here.
    """
    in_file, in_environment, inline = forms
    given = [form for form in forms if form in table]
    if len(given) != 1:
        found = f"both {listed(given, last='and')} are" if given else "none is"
        findings.problem(dotted(*at), f"needs exactly one of {listed(forms)}; {found} given")
        return Secret(None)
    form, value = given[0], table[given[0]]
    if not isinstance(value, str) or (not read_secrets and form != inline):
        return Secret(None)  # what is not text has been noted where the table was read
    where = dotted(*at, form)
    if form == in_file:
        return secret_file(value, where=where, place=place, findings=findings, parse=parse)
    try:
        if form == in_environment:
            return _from_environment(value, place.environ, parse=parse)
        if not place.private:
            raise ValueError(
                f"{noun} may stand in the configuration only where nobody else can read that; run chmod 600 on it, "
                f'or move it to a file of its own and name that in "{in_file}"'
            )
        return parse(value)
    except ValueError as error:
        findings.problem(where, str(error))
        return Secret(None)


def _from_environment(variable: str, environ: Mapping[str, str], *, parse: Callable[[str], Secret]) -> Secret:
    # The name is not quoted: it might be the secret itself, pasted in the wrong place.
    text = environ.get(variable)
    if text is None:
        raise ValueError("there is no environment variable of this name")
    try:
        return parse(text)
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
