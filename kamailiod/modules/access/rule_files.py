"""The rule files of one process, read when first asked for, and what a pair of them allows.

Owns file names and the order of allow and deny; a rule's grammar is rule_file.py's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kamailiod.modules.access.rule_file import RuleFile
from kamailiod.script.log import Log
from kamailiod.sip.uri import parse_uri


class RuleFiles:
    """Rule files by name; names without a folder are those of `folder`.

    A file that is not there is one without rules.  Files are read once, as Kamailio does.
    """

    def __init__(self, folder: str, log: Log) -> None:
        self._folder = folder
        self._log = log
        self._files: dict[str, RuleFile] = {}

    def file(self, name: str) -> RuleFile:
        """Return the rules of a file."""
        found = self._files.get(name)
        if found is None:
            found = self._files[name] = self._read(Path(self._folder, name))
        return found

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return Path(self._folder, name).is_file()

    def allow(self, allow: str, deny: str, asker: bytes, asked: Iterable[bytes]) -> bool:
        """Whether each of the pairs of `asker` and `asked` is allowed, or at least not denied."""
        allowing, denying = self.file(allow), self.file(deny)
        if not allowing and not denying:
            return True
        return not any(
            denying.fit(asker, one) for one in asked if not allowing.fit(asker, one)
        )

    def _read(self, path: Path) -> RuleFile:
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            self._log.info("permissions", f"no file {path}: no rules")
            return RuleFile(())
        rules = RuleFile(lines)
        for number in rules.faults:
            self._log.error("permissions", f"{path}:{number}: not a rule, left out")
        return rules


def plain_uri(text: bytes, with_port: bool = False) -> bytes:
    """Return scheme, user and host (and port) of a URI, the text as it is when it is none."""
    uri = parse_uri(text)
    if uri is None:
        return text
    user = uri.user + b"@" if uri.user else b""
    port = b":%d" % uri.port if with_port and uri.port else b""
    return b"%b:%b%b%b" % (uri.scheme, user, uri.host, port)
