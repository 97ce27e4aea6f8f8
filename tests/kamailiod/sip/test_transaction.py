"""The transaction machines against a virtual clock (RFC 3261 17, RFC 6026)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamailiod.sip import transaction_tables as tables
from kamailiod.sip.transaction import Machine, Timing
from tests.kamailiod.sip.machine_world import World, client, reply, server

TABLES = {
    "INVITE client": (tables.INVITE_CLIENT, tables.CALLING),
    "other client": (tables.NON_INVITE_CLIENT, tables.TRYING),
    "INVITE server": (tables.INVITE_SERVER, tables.PROCEEDING),
    "other server": (tables.NON_INVITE_SERVER, tables.TRYING),
}


def test_timer_a_doubles_without_bound() -> None:
    world = World()
    assert client(world, b"INVITE").start()
    world.run(31)
    assert world.instants == [0, 0.5, 1.5, 3.5, 7.5, 15.5]


def test_timer_b_gives_408() -> None:
    world = World()
    machine = client(world, b"INVITE")
    machine.start()
    world.run(40)
    assert world.log == [(30.0, "failed", 408), (30.0, "client ended", 408)]
    assert machine.is_over
    assert not world.pending


def test_timer_e_doubles_up_to_t2() -> None:
    world = World()
    client(world, b"OPTIONS").start()
    world.run(29)
    assert world.instants == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5]
    assert world.again == 9


def test_timer_f_gives_408() -> None:
    world = World()
    machine = client(world, b"OPTIONS")
    machine.start()
    world.run(40)
    assert world.log == [(30.0, "failed", 408), (30.0, "client ended", 408)]
    assert machine.code == 408
    assert machine.reply is None
    assert not world.pending


def test_timer_e_goes_on_at_t2_after_a_provisional() -> None:
    """RFC 3261 17.1.2.2: in Proceeding the interval is T2."""
    world = World()
    machine = client(world, b"OPTIONS")
    machine.start()
    machine.receive(reply(100, b"OPTIONS"))
    world.run(29)
    assert world.instants == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    world.run(30)
    assert world.happened == [("reply", 100), ("failed", 408), ("client ended", 408)]


@pytest.mark.parametrize("method", [b"INVITE", b"OPTIONS"])
def test_over_a_reliable_transport_nothing_is_sent_again(method: bytes) -> None:
    world = World()
    client(world, method, reliable=True).start()
    world.run(40)
    assert world.instants == [0]
    assert world.happened == [("failed", 408), ("client ended", 408)]


def test_a_provisional_stops_timers_a_and_b_and_starts_c() -> None:
    world = World()
    machine = client(world, b"INVITE")
    machine.start()
    world.run(1)
    machine.receive(reply(180))
    world.run(120.9)
    assert world.instants == [0, 0.5]
    assert world.happened == [("reply", 180)]
    world.run(121)
    assert world.happened == [("reply", 180), ("failed", 408)]
    machine.receive(reply(487))
    assert world.sent[-1][2].startswith(b"ACK ")
    world.run(126)
    assert world.happened == [("reply", 180), ("failed", 408), ("client ended", 408)]
    assert not world.pending


def test_each_provisional_starts_timer_c_anew() -> None:
    world = World()
    machine = client(world, b"INVITE")
    machine.start()
    for at in (1, 100, 200, 300):
        world.run(at)
        machine.receive(reply(180))
    world.run(419)
    assert machine.code == 180
    world.run(420)
    assert machine.code == 408
    assert world.happened[-1] == ("failed", 408)


def test_a_failure_is_acknowledged_and_so_are_its_retransmissions_until_timer_d() -> None:
    world = World()
    machine = client(world, b"INVITE")
    machine.start()
    machine.receive(reply(486))
    world.run(1)
    machine.receive(reply(486))
    acks = [data for _, target, data in world.sent[1:] if target == "down"]
    assert len(acks) == 2
    assert all(data.startswith(b"ACK sip:b@b.example SIP/2.0\r\n") for data in acks)
    assert world.happened == [("reply", 486)]
    world.run(5)
    assert world.happened == [("reply", 486), ("client ended", 486)]
    assert not world.pending


def test_accepted_passes_every_2xx_until_timer_m() -> None:
    world = World()
    machine = client(world, b"INVITE")
    machine.start()
    machine.receive(reply(200))
    world.run(4)
    machine.receive(reply(200))
    machine.receive(reply(486))
    machine.receive(reply(180))
    assert world.happened == [("reply", 200), ("reply", 200)]
    assert len(world.sent) == 1
    world.run(5)
    assert world.happened[-1] == ("client ended", 200)


def test_a_completed_client_absorbs_replies_until_timer_k() -> None:
    world = World()
    machine = client(world, b"OPTIONS")
    machine.start()
    machine.receive(reply(200, b"OPTIONS"))
    machine.receive(reply(200, b"OPTIONS"))
    machine.receive(reply(404, b"OPTIONS"))
    world.run(5)
    assert world.happened == [("reply", 200), ("client ended", 200)]
    assert world.instants == [0]
    assert not world.pending


def test_a_send_that_fails_at_once_starts_nothing() -> None:
    world = World(works=False)
    assert not client(world, b"INVITE").start()
    assert not world.pending


@pytest.mark.parametrize("method", [b"INVITE", b"OPTIONS"])
def test_a_transport_error_ends_it_with_503(method: bytes) -> None:
    world = World()
    machine = client(world, method)
    machine.start()
    machine.step(tables.TRANSPORT_ERROR)
    assert world.happened == [("failed", 503), ("client ended", 503)]
    assert not world.pending


def test_timer_g_doubles_up_to_t2_until_timer_h() -> None:
    world = World()
    machine = server(world, b"INVITE")
    assert machine.reply(486, b"486")
    world.run(40)
    assert world.instants == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5]
    assert world.log == [(30.0, "server ended", 486)]
    assert not world.pending
    assert world.again == 9


def test_an_ack_stops_timer_g_and_timer_i_ends_it() -> None:
    world = World()
    machine = server(world, b"INVITE")
    machine.reply(486, b"486")
    world.run(1)
    assert machine.acknowledge()
    assert not machine.acknowledge()
    world.run(40)
    assert world.instants == [0, 0.5]
    assert world.log == [(6.0, "server ended", 486)]


def test_over_a_reliable_transport_timer_g_never_starts() -> None:
    world = World()
    server(world, b"INVITE", reliable=True).reply(486, b"486")
    world.run(40)
    assert world.instants == [0]
    assert world.log == [(30.0, "server ended", 486)]


def test_a_retransmitted_request_gets_the_last_reply() -> None:
    world = World()
    machine = server(world, b"INVITE")
    machine.retransmission()
    assert not world.sent
    machine.reply(100, b"100")
    machine.reply(180, b"180")
    machine.retransmission()
    machine.reply(404, b"404")
    machine.retransmission()
    assert [data for _, _, data in world.sent] == [b"100", b"180", b"180", b"404", b"404"]


def test_accepted_absorbs_invites_and_sends_each_2xx() -> None:
    """RFC 6026 7.1: the 2xx are the callee's to retransmit."""
    world = World()
    machine = server(world, b"INVITE")
    machine.reply(200, b"200")
    machine.retransmission()
    assert machine.reply(200, b"200 again")
    assert not machine.reply(486, b"486")
    assert [data for _, _, data in world.sent] == [b"200", b"200 again"]
    assert not machine.acknowledge()
    world.run(5)
    assert world.happened == [("server ended", 200)]
    assert not world.pending


def test_a_non_invite_server_waits_for_timer_j() -> None:
    world = World()
    machine = server(world, b"OPTIONS")
    machine.retransmission()
    assert not world.sent
    machine.reply(200, b"200")
    machine.retransmission()
    assert not machine.reply(200, b"once more")
    assert not machine.reply(500, b"500")
    world.run(5)
    assert [data for _, _, data in world.sent] == [b"200", b"200"]
    assert world.happened == [("server ended", 200)]
    assert not world.pending


def test_no_provisional_after_the_final_reply() -> None:
    world = World()
    machine = server(world, b"INVITE")
    machine.reply(200, b"200")
    assert not machine.reply(180, b"180")
    assert machine.last_reply == b"200"


def test_kamailio_names_set_the_timers() -> None:
    world = World()
    timing = Timing(retr_timer1=0.1, retr_timer2=0.3, fr_timer=1.0, fr_inv_timer=2.0, wt_timer=0.25)
    client(world, b"OPTIONS", timing=timing).start()
    world.run(2)
    assert [round(at, 3) for at in world.instants] == [0, 0.1, 0.3, 0.6, 0.9]
    assert world.log == [(1.0, "failed", 408), (1.0, "client ended", 408)]


@pytest.mark.parametrize("name", TABLES)
def test_every_state_can_be_reached_and_left(name: str) -> None:
    table, first = TABLES[name]
    reached, todo = {first}, [first]
    while todo:
        state = todo.pop()
        for (from_state, _), (to_state, _) in table.items():
            if from_state == state and to_state not in reached:
                reached.add(to_state)
                todo.append(to_state)
    assert {state for state, _ in table} == reached - {tables.TERMINATED}
    assert tables.TERMINATED in reached
    assert not [event for state, event in table if state == tables.TERMINATED]


@pytest.mark.parametrize("name", TABLES)
def test_what_terminates_ends_last_and_nothing_else_does(name: str) -> None:
    for (_, event), (state, actions) in TABLES[name][0].items():
        assert (tables.END in actions) == (state == tables.TERMINATED), tables.EVENTS[event]
        if state == tables.TERMINATED:
            assert actions[-1] == tables.END


@pytest.mark.parametrize("name", TABLES)
def test_every_state_has_a_way_out_by_time(name: str) -> None:
    """But for a server that waits for its user: no state depends on the peer to be left."""
    table, first = TABLES[name]
    for state in {state for state, _ in table}:
        by_time = (state, tables.TIMEOUT) in table or (state, tables.WAITED) in table
        waits = "server" in name and state in (first, tables.TRYING, tables.PROCEEDING)
        assert by_time != waits


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("event"),
            st.sampled_from([
                tables.REQUEST, tables.ACK, tables.PROVISIONAL, tables.SUCCESS, tables.FAILURE,
                tables.TRANSPORT_ERROR,
            ]),
        ),
        st.tuples(st.just("reply"), st.sampled_from([100, 180, 200, 302, 486, 503, 603])),
        st.tuples(st.just("time"), st.sampled_from([1, 5, 10, 50, 100, 400, 1300])),
    ),
    max_size=15,
)  # fmt: skip
"""What comes from outside; what comes of timers, only time brings."""


@given(st.sampled_from([b"INVITE", b"OPTIONS"]), st.booleans(), st.booleans(), steps)
def test_no_sequence_raises_or_leaves_timers_behind(
    method: bytes, is_client: bool, reliable: bool, sequence: list[tuple[str, int]]
) -> None:
    world = World()
    machine: Machine
    if is_client:
        machine = started = client(world, method, reliable)
        started.start()
    else:
        machine = server(world, method, reliable)
    ended_at = None
    for kind, value in sequence:
        if kind == "time":
            world.run(world.now + value / 10)
        elif kind == "event":
            is_reply = value in (tables.PROVISIONAL, tables.SUCCESS, tables.FAILURE)
            code = {tables.PROVISIONAL: 180, tables.SUCCESS: 200}.get(value, 486)
            machine.step(value, reply(code, method) if is_reply and is_client else None)
        elif is_client:
            machine.receive(reply(value, method))  # type: ignore[attr-defined]
        else:
            machine.reply(value, b"%d" % value)  # type: ignore[attr-defined]
        ended_at = len(world.sent) if machine.is_over and ended_at is None else ended_at
        if machine.is_over:
            assert not world.pending
            assert len(world.sent) == ended_at
            assert sum("ended" in what for what, _ in world.happened) == 1
    if is_client:
        world.run(world.now + 1000)
        assert machine.is_over
        assert not world.pending
