"""Where things lie: the configuration file, the default database, and paths that start at the configuration file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fluence_costwatch.config.problems import printable
from fluence_costwatch.config.secret import Secret, parse_secret
from fluence_costwatch.errors import ConfigInvalid

_PROGRAM: Final = "fluence-costwatch"
_LARGEST_CONFIGURATION: Final = 1_048_576
_LARGEST_SECRET: Final = 65_536


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration file as it was read; `private` is whether its owner alone can read it."""

    path: Path
    content: bytes
    private: bool


@dataclass(frozen=True, slots=True)
class Place:
    """From where the paths and names of one configuration are understood."""

    folder: Path
    environ: Mapping[str, str]
    private: bool

    def resolve(self, path: str) -> Path:
        """`path` from the folder of the configuration file, with `~/` as the home folder. Raise ValueError if unusable."""
        if not path or not path.isprintable():
            raise ValueError("must be a path without control characters")
        if path.startswith("~/"):
            return _home(self.environ) / path[2:]
        return self.folder / path

    def read_secret(self, name: str, *, parse: Callable[[str], Secret] = parse_secret) -> tuple[Secret, str | None]:
        """The secret in the file `name` and a remark on it, if any. A bare name may be a systemd credential.

        Raise ValueError with the reason, which quotes `name` only where it is written as a path: a bare one might be
        the key itself, pasted in the wrong place.
        """
        if "://" in name:
            raise ValueError("must name a file that holds the secret, which an address does not")
        path = self.resolve(name)
        bare = "/" not in name
        folders = [self.folder]
        credentials = self.environ.get("CREDENTIALS_DIRECTORY")
        is_credential = bool(bare and credentials and not os.path.lexists(path))
        if bare and credentials:
            folders.append(Path(credentials))
        if is_credential:
            path = folders[-1] / name
        label = "the file" if bare else printable(str(path))
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{label} is not a regular file")
            with path.open("rb") as file:
                content = file.read(_LARGEST_SECRET + 1)
        except FileNotFoundError:
            looked = " and ".join(printable(str(folder)) for folder in folders)
            raise ValueError(f"no such file in {looked}" if bare else f"{label} does not exist") from None
        except OSError as error:
            raise ValueError(f"{label} cannot be read: {error.strerror}") from None
        if len(content) > _LARGEST_SECRET:
            raise ValueError(f"{label} is too large to be a secret")
        try:
            secret = parse(content.decode("utf-8", "replace"))
        except ValueError as error:
            raise ValueError(f"{label} {error}") from None
        # systemd lets the service in by an access list, whose mask looks like permissions of the group.
        is_open = status.st_mode & 0o077 and not is_credential
        remark = f"{label} can be read by others; run chmod 600 on it" if is_open else None
        return secret, remark


def read_configuration(path: str | None, *, environ: Mapping[str, str]) -> Source:
    """The file at `path`, else the first that exists where `design.md` 9.2 looks. Raise ConfigInvalid without one."""
    named = path if path is not None else environ.get("FLUENCE_COSTWATCH_CONFIG") or None
    candidates = (Path(named),) if named is not None else _usual_places(environ)
    for candidate in candidates:
        shown = printable(str(candidate))
        try:
            with candidate.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(_LARGEST_CONFIGURATION + 1)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigInvalid(shown, [f"the file cannot be read: {reason}"]) from None
        if len(content) > _LARGEST_CONFIGURATION:
            raise ConfigInvalid(shown, ["the file is larger than 1 MiB, too large to be a configuration"])
        return Source(candidate.absolute(), content, private=not mode & 0o077)
    if named is not None:
        origin = "--config" if path is not None else "$FLUENCE_COSTWATCH_CONFIG"
        raise ConfigInvalid(printable(named), [f"there is no such file; {origin} must name one"])
    looked = ", ".join(printable(str(candidate)) for candidate in candidates)
    raise ConfigInvalid(
        "config.toml",
        [f"no configuration file; looked for {looked}; start from config.example.toml or name one by --config"],
    )


def default_database(environ: Mapping[str, str]) -> Path:
    """The database where none is configured: `$STATE_DIRECTORY`, else `$XDG_DATA_HOME`. Raise ValueError without a home."""
    # systemd separates several state directories by colons; the first is ours.
    state = environ.get("STATE_DIRECTORY", "").split(":")[0]
    folder = Path(state) if state else _xdg(environ, "XDG_DATA_HOME", ".local/share") / _PROGRAM
    return folder / "costwatch.db"


def _usual_places(environ: Mapping[str, str]) -> tuple[Path, ...]:
    system = Path("/etc") / _PROGRAM / "config.toml"
    try:
        return (_xdg(environ, "XDG_CONFIG_HOME", ".config") / _PROGRAM / "config.toml", system)
    except ValueError:
        return (system,)


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    # The XDG specification has relative paths ignored.
    chosen = Path(environ.get(variable, ""))
    return chosen if chosen.is_absolute() else _home(environ) / default


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME")
    if not home:
        raise ValueError("there is no home folder ($HOME is not set), so it must be an absolute path")
    return Path(home)
