"""Lines that a person should see at the end of a run whether or not anything failed: which server ran, measured
figures, what could not run and why."""
import os

_notes = []


def note(text: str) -> None:
    _notes.append(text)
    path = os.environ.get("PYSTROBE_NOTES")
    if path:
        with open(path, "a", encoding="utf-8") as notes:
            notes.write(text.rstrip("\n") + "\n")


def taken() -> list:
    return list(_notes)
