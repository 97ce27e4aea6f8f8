"""The preprocessor's names: owns the table of defines and the substitutions of strings."""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass

KAMAILIO_VERSION = (5, 6, 3)


@dataclass(frozen=True, slots=True)
class Substitution:
    """A regular expression whose matches in string tokens become `replacement`."""

    pattern: re.Pattern[str]
    replacement: str
    count: int

    def apply(self, text: str) -> str:
        return self.pattern.sub(self.replacement, text, self.count)


class Defines:
    """The names defined so far, with the raw text of their values."""

    __slots__ = ("_values", "substitutions")

    def __init__(self, initial: Mapping[str, str] | None = None) -> None:
        self._values: dict[str, str] = predefined()
        self._values.update(initial or {})
        self.substitutions: list[Substitution] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str) -> str | None:
        """The raw value of name ("" if it has none), None if it is not defined."""
        return self._values.get(name)

    def set(self, name: str, value: str) -> None:
        self._values[name] = value

    def remove(self, name: str) -> None:
        self._values.pop(name, None)

    def values(self) -> dict[str, str]:
        """A copy of all names and values."""
        return dict(self._values)

    def substitute(self, text: str) -> str:
        """Text with every substitution applied, in the order they were given."""
        for substitution in self.substitutions:
            text = substitution.apply(text)
        return text


def predefined() -> dict[str, str]:
    """The names Kamailio defines by itself, for the release this server stands in for."""
    major, minor, patch = KAMAILIO_VERSION
    return {
        f"KAMAILIO_{major}": "",
        f"KAMAILIO_{major}_{minor}": "",
        f"KAMAILIO_{major}_{minor}_{patch}": "",
        "KAMAILIO_VERSION": f"{major}{minor:03}{patch:03}",
        "OS_NAME": f'"{platform.system().lower()}"',
    }


def parse_substitution(text: str) -> Substitution:
    """A substitution from `/regex/replacement/flags`, any character as the slash.

    Flags are g (all matches) and i (no case). Raises ValueError with the reason.
    """
    parts = _split(text)
    if len(parts) != 3:
        raise ValueError(f"expected /regex/replacement/flags, found {text!r}")
    pattern, replacement, flags = parts
    if set(flags) - set("gis"):
        raise ValueError(f"unknown flags {flags!r}")
    try:
        compiled = re.compile(pattern, re.IGNORECASE if "i" in flags else 0)
        checked = re.sub(r"\\(?!\d)", r"\\\\", replacement)
        compiled.sub(checked, "")
    except (re.error, IndexError, RecursionError, OverflowError) as error:
        raise ValueError(f"bad regular expression {pattern!r}: {error}") from None
    return Substitution(compiled, checked, 0 if "g" in flags else 1)


def parse_definition(text: str) -> tuple[str, str, str]:
    """(name, value, flags) from a substdef's `!NAME!value!flags`. Raises ValueError."""
    parts = _split(text)
    if len(parts) != 3 or not re.fullmatch(r"\w+", parts[0]):
        raise ValueError(f"expected !NAME!value!flags, found {text!r}")
    return parts[0], parts[1], parts[2]


def _split(text: str) -> list[str]:
    """The three parts between the delimiters; an escaped delimiter belongs to its part."""
    if not text or text[0].isalnum() or text[0] in "\\ \t":
        return []
    parts = re.split(r"(?<!\\)" + re.escape(text[0]), text[1:])
    return [part.replace("\\" + text[0], text[0]) for part in parts]
