"""Which names of the listening addresses count as this server's own."""

import pytest

from kamailiod.auto_aliases import auto_aliases
from kamailiod.cfg import Address, Settings
from kamailiod.cfg.listen import build_listen
from kamailiod.cfg.source import Position
from kamailiod.cfg.tree import ListenParameter
from kamailiod.net.address import ListenAddress


@pytest.fixture
def hosts(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("# none\n127.0.0.1\tlocalhost here\n127.0.0.1 other\n192.0.2.1 pbx # x\n")
    return str(path)


def settings(*listens, **others):
    place = Position("x", 1, 1)
    return Settings(
        listen=tuple(build_listen(ListenParameter(one, "", "", False, place)) for one in listens),
        **others,
    )


def test_the_first_name_of_an_address_in_the_hosts_file(hosts):
    addresses = [
        ListenAddress(0, b"udp", b"127.0.0.1", 5070), ListenAddress(1, b"tcp", b"192.0.2.1", 5060),
        ListenAddress(2, b"tcp", b"192.0.2.2", 5060),
    ]  # fmt: skip
    given = settings("udp:127.0.0.1:5070", "tcp:192.0.2.1", "tcp:192.0.2.2")
    assert auto_aliases(given, addresses, hosts) == (
        Address("udp", "localhost", 5070), Address("tcp", "pbx", 5060),
    )  # fmt: skip


def test_a_name_in_a_listen_line_and_no_interface(hosts):
    addresses = [
        ListenAddress(0, b"udp", b"192.0.2.9", 5060), ListenAddress(1, b"tcp", b"192.0.2.9", 5060),
        ListenAddress(2, b"udp", b"192.0.2.9", 5080),
    ]  # fmt: skip
    given = settings("sip.example.org", "udp:lo:5080", "udp:*:5080")
    assert auto_aliases(given, addresses, hosts) == (
        Address("udp", "sip.example.org", 5060), Address("tcp", "sip.example.org", 5060),
    )  # fmt: skip


def test_off_or_without_a_hosts_file_there_are_none(hosts):
    addresses = [ListenAddress(0, b"udp", b"127.0.0.1", 5060)]
    assert auto_aliases(settings(auto_aliases=False), addresses, hosts) == ()
    assert auto_aliases(settings(), addresses, hosts + ".none") == ()
