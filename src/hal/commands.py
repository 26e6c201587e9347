"""What other programs say."""

import subprocess


def output(*command: str) -> str | None:
    """The first line that a command prints, empty where it prints nothing; None where there is no such command or it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().split("\n")[0]
