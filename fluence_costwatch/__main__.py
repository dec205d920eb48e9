"""`python -m fluence_costwatch`, and what the console script calls."""

from __future__ import annotations

from fluence_costwatch.cli.app import main as run_command_line
from fluence_costwatch.program import InstalledProgram


def main() -> None:
    """Run the command that the process was called with; leaves by SystemExit with its exit code."""
    run_command_line(InstalledProgram())


if __name__ == "__main__":
    main()
