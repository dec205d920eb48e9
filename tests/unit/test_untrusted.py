from __future__ import annotations

import pytest

from fluence_costwatch.core.untrusted import printable, shortened


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("web-1", "web-1", id="a plain name stays"),
        pytest.param("Zoë 日本 🦄", "Zoë 日本 🦄", id="letters of any script stay"),
        pytest.param("a\nb\r\tc\x00", "a\\nb\\r\\tc\\x00", id="controls are named"),
        pytest.param("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m", id="escape sequences do not act"),
        pytest.param("\x9b2J", "\\x9b2J", id="nor do those of eight bits"),
        pytest.param("user\u202egnp.exe", "user\\u202egnp.exe", id="the direction of writing stays"),
        pytest.param("in\u200bvisible\ufeff", "in\\u200bvisible\\ufeff", id="what cannot be seen is seen"),
        pytest.param("line\u2028end", "line\\u2028end", id="other line ends are no line ends"),
        pytest.param("half \ud83d", "half \\ud83d", id="half a surrogate pair can be written"),
    ],
)
def test_a_text_of_somebody_else_shows_and_does_not_act(text: str, expected: str) -> None:
    assert expected == printable(text)


def test_a_long_text_is_cut_with_a_mark() -> None:
    assert "abcd…" == printable("abcdefgh", limit=5)
    assert "abcde" == printable("abcde", limit=5)
    assert 20 >= len(printable("\x1b" * 1_000_000, limit=20))


def test_a_long_id_keeps_both_ends() -> None:
    assert "0x12…cdef" == shortened("0x1234567890abcdef", width=9)
    assert "0x1234" == shortened("0x1234", width=9)
