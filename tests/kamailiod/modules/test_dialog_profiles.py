"""Profiles, from Lua as scripts call them, and by RPC."""

from collections.abc import Callable

import pytest

from kamailiod.modules.dialog_tracking.attachment import attached_dialog
from kamailiod.script.context import Context, Route
from kamailiod.script.functions import native_functions
from kamailiod.script.module import RpcFault
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.proxied_call import ProxiedCall, followed

PROFILES = {"profiles_with_value": "caller ; my", "profiles_no_value": "inbound"}


@pytest.fixture
def call(services: FakeServices) -> ProxiedCall:
    return followed(services, **PROFILES)


@pytest.fixture
def lua(call: ProxiedCall) -> LuaCalls:
    return LuaCalls(call.services, [call.dialogs])


def sizes(call: ProxiedCall) -> tuple[int, int, int]:
    store = call.dialogs.profiles.store
    return store.size(b"caller", b"alice"), store.size(b"caller"), store.size(b"inbound")


def in_profiles(call: ProxiedCall, lua: LuaCalls) -> None:
    def prepare(context: Context) -> None:
        assert lua(context, 'return KSR.dialog.set_dlg_profile_static("inbound")') == 1
        assert sizes(call) == (0, 0, 0)
        assert call.dialogs.dlg_manage(context) == 1
        assert lua(context, 'return KSR.dialog.set_dlg_profile("caller", "alice")') == 1
        assert sizes(call) == (1, 1, 1)

    call.prepare = prepare
    call.answer()


def test_a_call_is_counted_until_it_ends(call: ProxiedCall, lua: LuaCalls) -> None:
    in_profiles(call, lua)
    assert sizes(call) == (1, 1, 1)
    call.dialogs.tracker.records.flush()
    assert call.dialog.profiles == [(b"inbound", b""), (b"caller", b"alice")]
    call.request(b"BYE", 2, to_tag=b"callee")
    assert sizes(call) == (0, 0, 0)


def test_a_call_that_fails_is_counted_no_more(call: ProxiedCall, lua: LuaCalls) -> None:
    call.prepare = lambda context: (
        call.dialogs.dlg_manage(context), call.dialogs.set_dlg_profile(context, b"caller", b"alice")
    )  # fmt: skip
    call.request(b"INVITE")
    assert sizes(call) == (1, 1, 0)
    call.reply(486, b"Busy Here")
    assert sizes(call) == (0, 0, 0)


def test_a_call_refused_without_transaction_is_counted_no_more(call: ProxiedCall) -> None:
    context = call.request(b"OPTIONS")
    context.transaction = None
    invite = context_of(bytes(call.sent_requests()[0]).replace(b"OPTIONS", b"INVITE"))
    assert call.dialogs.dlg_manage(invite) == 1
    assert call.dialogs.set_dlg_profile(invite, b"caller", b"alice") == 1
    assert sizes(call)[0] == 1
    call.pass_time(1)
    assert sizes(call) == (0, 0, 0)
    # Its script waited only: with its transaction the call counts again.
    call.tm.relay.transaction(invite)
    assert sizes(call) == (1, 1, 0)
    assert call.dialog.profiles == [(b"caller", b"alice")]


def test_membership(call: ProxiedCall, lua: LuaCalls) -> None:
    in_profiles(call, lua)
    context = call.request(b"INFO", 2, to_tag=b"callee")
    for text, expected in (
        ('is_in_profile("caller", "alice")', 1),
        ('is_in_profile("caller", "bob")', -1),
        ('is_in_profile("my", "alice")', -1),
        ('is_in_profile_static("inbound")', 1),
        ('is_in_profile("inbound", "ignored")', 1),
        ('is_in_profile_static("caller")', -1),
        ('is_in_profile_static("undeclared")', -1),
        ('set_dlg_profile_static("caller")', -1),
        ('set_dlg_profile("undeclared", "x")', -1),
        ('unset_dlg_profile("caller", "bob")', -1),
        ('unset_dlg_profile("caller", "alice")', 1),
        ('is_in_profile("caller", "alice")', -1),
        ('unset_dlg_profile_static("inbound")', 1),
        ('unset_dlg_profile_static("inbound")', -1),
    ):
        assert lua(context, f"return KSR.dialog.{text}") == expected, text
    assert sizes(call) == (0, 0, 0)


def test_without_a_dialog_only_a_request_may_be_put_into_one(call: ProxiedCall) -> None:
    reply = context_of(
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a>;tag=1\r\n"
        b"To: <sip:b>;tag=2\r\nCall-ID: c\r\nCSeq: 9 INFO\r\n\r\n",
        Route.REPLY,
    )
    assert call.dialogs.set_dlg_profile(reply, b"caller", b"x") == -1
    request = call.services.faked_context()
    assert call.dialogs.set_dlg_profile(request, b"caller", b"x") == 1
    assert call.dialogs.is_in_profile(request, b"caller", b"x") == -1
    assert call.dialogs.unset_dlg_profile(request, b"caller", b"x") == 1


def test_sizes_go_into_a_variable(call: ProxiedCall, lua: LuaCalls) -> None:
    in_profiles(call, lua)
    context = call.request(b"INFO", 2, to_tag=b"callee")
    assert lua(context, 'return KSR.dialog.get_profile_size("caller", "alice", "$avp(n)")') == 1
    assert context.shared.avps[b"n"] == [1]
    assert lua(context, 'return KSR.dialog.get_profile_size("caller", "bob", "$avp(m)")') == 1
    assert context.shared.avps[b"m"] == [0]
    assert lua(context, 'return KSR.dialog.get_profile_size_static("inbound", "$avp(i)")') == 1
    assert context.shared.avps[b"i"] == [1]
    for text in (
        'get_profile_size_static("caller", "$avp(x)")', 'get_profile_size("caller", "a", "$fu")',
        'get_profile_size("undeclared", "a", "$avp(x)")',
    ):  # fmt: skip
        assert lua(context, f"return KSR.dialog.{text}") == -1


def test_the_native_forms(call: ProxiedCall, lua: LuaCalls) -> None:
    in_profiles(call, lua)
    context = call.request(b"INFO", 2, to_tag=b"callee")
    native = native_functions([call.dialogs])

    def run(name: str, *arguments: object) -> object:
        return native[f"{name}/{len(arguments)}"].call(context, *arguments)

    context.shared.avps[b"who"] = [b"alice"]
    assert run("get_profile_size", b"caller", b"$avp(who)", b"$avp(n)") == 1
    assert context.shared.avps[b"n"] == [1]
    assert run("get_profile_size", b"inbound", b"$avp(i)") == 1
    assert run("is_in_profile", b"inbound") == 1
    assert run("is_in_profile", b"caller", b"alice") == 1
    assert run("unset_dlg_profile", b"inbound") == 1
    assert run("set_dlg_profile", b"inbound") == 1
    assert run("set_dlg_profile", b"my", b"x") == 1
    assert run("unset_dlg_profile", b"my", b"x") == 1


def test_members_on_another_server_count(call: ProxiedCall) -> None:
    context = call.services.faked_context()
    remote = call.dialogs.remote_profile
    until = int(call.now) + 60
    assert remote(context, b"add", b"caller", b"alice", b"uid", until) == 1
    assert remote(context, b"add", b"inbound", b"", b"uid", until) == 1
    assert sizes(call) == (1, 1, 1)
    assert remote(context, b"rm", b"inbound", b"", b"uid", 0) == 1
    assert remote(context, b"add", b"undeclared", b"", b"uid", until) == -1
    assert remote(context, b"what", b"caller", b"", b"uid", until) == -1
    call.now += 61
    call.dialogs.hand_out_due()
    assert sizes(call) == (0, 0, 0)


def test_a_timeout_for_all_of_a_profile(call: ProxiedCall, lua: LuaCalls) -> None:
    in_profiles(call, lua)
    call.dialogs.tracker.records.flush()
    context = call.services.faked_context()
    by_profile: Callable[..., int] = call.dialogs.set_timeout_by_profile
    assert by_profile(context, b"caller", b"alice", 0) == -1
    assert by_profile(context, b"caller", b"", 5) == -1
    assert by_profile(context, b"undeclared", b"", 5) == -1
    assert by_profile(context, b"caller", b"bob", 5) == 1
    call.dialogs.tracker.records.flush()
    assert call.dialog.timeout == 43200
    assert by_profile(context, b"caller", b"alice", 5) == 1
    call.dialogs.tracker.records.flush()
    assert (call.dialog.timeout, call.dialog.expires) == (5, call.now + 5)
    assert call.dialogs.set_timeout_by_profile_static(context, b"inbound", 9) == 1
    call.dialogs.tracker.records.flush()
    assert call.dialog.expires == call.now + 9


def test_rpc_counts_and_lists(call: ProxiedCall, lua: LuaCalls) -> None:
    in_profiles(call, lua)
    call.dialogs.tracker.records.flush()
    assert call.dialogs.profile_size("caller") == 1
    assert call.dialogs.profile_size("caller", "alice") == 1
    assert call.dialogs.profile_size("caller", "bob") == 0
    assert call.dialogs.profile_size("inbound", "ignored") == 1
    with pytest.raises(RpcFault, match="Profile not found: x"):
        call.dialogs.profile_size("x")
    (entry,) = call.dialogs.profile_list("caller", "alice")  # type: ignore[misc]  # RPC answers are objects
    assert entry["profiles"] == ["inbound", {"caller": "alice"}]
    assert call.dialogs.profile_list("caller", "bob") == []


def test_a_restarted_worker_counts_anew(call: ProxiedCall, lua: LuaCalls) -> None:
    in_profiles(call, lua)
    call.dialogs.tracker.records.flush()
    store = call.dialogs.profiles.store
    store.join(1, b"caller", b"alice")  # killed between this and the dialog's record
    call.restart_worker(store, **PROFILES)
    assert sizes(call) == (1, 1, 1)
    call.request(b"BYE", 2, to_tag=b"callee")
    assert sizes(call) == (0, 0, 0)


def test_another_process_has_the_owner_change_a_dialog(call: ProxiedCall) -> None:
    call.answer()
    call.dialogs.tracker.records.flush()
    told: list[tuple[object, ...]] = []

    def tell(rank: int, *arguments: object) -> bool:
        told.append((rank, *arguments))
        return True

    call.services.rank = call.dialogs.tracker.records.rank = 2
    call.dialogs.tracker.records._known.clear()
    call.services.tell_worker = tell  # type: ignore[method-assign]  # a fake of a fake
    context = call.services.faked_context()
    assert call.dialogs.dlg_get(context, call.call_id, b"caller", b"callee") == 1
    assert call.dialogs.set_dlg_profile(context, b"caller", b"alice") == 1
    assert call.dialogs.is_in_profile(context, b"caller", b"alice") == 1
    assert sizes(call) == (0, 0, 0)
    assert call.dialogs.var_sets(context, b"k", b"v") == 1
    dialog = attached_dialog(context)
    assert dialog is not None
    numbers = (dialog.h_entry, dialog.h_id)
    assert told == [
        (1, "dialog.change", *numbers, "join", b"caller", b"alice"),
        (1, "dialog.change", *numbers, "variable", b"k", b"v"),
    ]
    assert call.dialogs.dlg_bye(context, b"caller") == 1
    assert told[-1] == (1, "dialog.terminate", *numbers, [2], b"")
    assert call.dialog is not None
    call.services.rank = call.dialogs.tracker.records.rank = 1
    for _, name, *arguments in told:
        call.services.functions[str(name)](*arguments)
    assert call.dialog is None
    assert sizes(call) == (0, 0, 0)
