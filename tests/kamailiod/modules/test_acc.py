import re
from time import tzset

import pytest

from kamailiod.modules.acc import Acc
from kamailiod.modules.accounting.extra import split_definition
from kamailiod.modules.accounting.params import WITHOUT_EFFECT, AccParams
from kamailiod.script.context import Context
from kamailiod.script.log import DEBUG, FACILITIES, Log, Syslog
from kamailiod.script.module import declared
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.proxied_call import ProxiedCall

FLAGS = {"log_flag": 1, "log_missed_flag": 2, "failed_transaction_flag": 3}


class Accounted(ProxiedCall):
    def __init__(self, services: FakeServices, **params: object) -> None:
        super().__init__(services)
        self.acc: Acc = services.load(Acc, **params)
        services.variables.register_module(self.dialogs)
        self.flags = 1 << 1 | 1 << 2
        self.prepare = self.set_flags
        self.start()
        self.acc.clock = lambda: self.now

    def set_flags(self, context: Context) -> None:
        context.shared.flags = self.flags
        self.dialogs.dlg_manage(context)

    def lines(self) -> list[str]:
        """All accounting lines, without prefix."""
        found = [re.match(r" *\d+\(\d+\) NOTICE: <acc>: (.*)", s) for s in self.services.lines]
        return [match.group(1) for match in found if match]


def test_an_answered_call_gives_kamailios_line(services: FakeServices) -> None:
    call = Accounted(services, **FLAGS)
    call.answer()
    assert call.lines() == [
        "ACC: transaction answered: timestamp=1700000000;method=INVITE;from_tag=caller;"
        "to_tag=callee;call_id=call-1@127.0.0.1;code=200;reason=OK"
    ]
    assert call.services.statistics.counts["acc:transactions"] == 1


def test_without_the_flag_nothing_is_written(services: FakeServices) -> None:
    call = Accounted(services, **FLAGS)
    call.flags = 0
    call.answer()
    call.request(b"BYE", 2, to_tag=b"callee")
    call.reply(200)
    assert call.lines() == []


def test_a_bye_from_the_callee_has_its_own_tags(services: FakeServices) -> None:
    call = Accounted(services, **FLAGS)
    call.answer()
    call.within = call.set_flags
    call.request(b"BYE", 5, from_callee=True)
    call.reply(200, from_caller=True)
    assert ";method=BYE;from_tag=callee;to_tag=caller;" in call.lines()[-1]


def test_detect_direction_turns_the_tags_round(services: FakeServices) -> None:
    call = Accounted(services, detect_direction=1, **FLAGS)
    call.answer()
    call.within = call.set_flags
    call.request(b"BYE", 5, from_callee=True)
    call.reply(200, from_caller=True)
    assert ";method=BYE;from_tag=caller;to_tag=callee;" in call.lines()[-1]


def test_a_failed_call_is_missed_and_only_on_demand_accounted(services: FakeServices) -> None:
    call = Accounted(services, **FLAGS)
    call.request(b"INVITE")
    call.reply(486, b"Busy Here")
    assert [line.partition(": timestamp")[0] for line in call.lines()] == ["ACC: call missed"]
    assert ";to_tag=callee;" in call.lines()[0]
    assert call.lines()[0].endswith(";code=486;reason=Busy Here")
    assert call.services.statistics.counts["acc:missed"] == 1


def test_the_failed_flag_accounts_failures_too(services: FakeServices) -> None:
    call = Accounted(services, **FLAGS)
    call.flags = 1 << 3
    call.request(b"INVITE")
    call.reply(486, b"Busy Here")
    assert call.lines() == [], "the flag of the log says where to"
    call.flags = 1 << 1 | 1 << 3
    call.request(b"INVITE", branch=b"second")
    call.reply(486, b"Busy Here")
    assert [line.partition(": timestamp")[0] for line in call.lines()] == [
        "ACC: transaction answered"
    ]


def test_filtered_codes_are_not_accounted(services: FakeServices) -> None:
    call = Accounted(services, failed_filter="404,486", **FLAGS)
    call.flags = 1 << 1 | 1 << 3
    call.request(b"INVITE")
    call.reply(486, b"Busy Here")
    assert call.lines() == []


def test_a_time_out_is_accounted_with_our_own_reply(services: FakeServices) -> None:
    call = Accounted(services, **FLAGS)
    call.request(b"INVITE")
    for _ in range(400):
        call.pass_time(0.1)
    (line,) = call.lines()
    assert line.startswith("ACC: call missed: ")
    assert re.search(r";to_tag=[^;]+;call_id=[^;]+;code=408;reason=Request Timeout$", line)


def test_who_was_called_first_missed_a_call_that_goes_on(services: FakeServices) -> None:
    call = Accounted(services, **FLAGS)

    def voicemail(context: Context) -> None:
        context.destination = b"sip:127.0.0.1:6070"
        assert call.tm.t_relay(context) == 1

    call.script.on_route[b"VOICEMAIL"] = voicemail

    def prepare(context: Context) -> None:
        call.set_flags(context)
        call.tm.t_on_failure(context, b"VOICEMAIL")

    call.prepare = prepare
    call.request(b"INVITE")
    call.reply(486, b"Busy Here")
    call.reply(200)
    assert [re.sub(":? timestamp.*code=", " ", line) for line in call.lines()] == [
        "ACC: call missed 486;reason=Busy Here",
        "ACC: transaction answered 200;reason=OK",
    ]


def test_a_call_is_missed_once(services: FakeServices) -> None:
    call = Accounted(services, **FLAGS)

    def voicemail(context: Context) -> None:
        context.destination = b"sip:127.0.0.1:6070"
        assert call.tm.t_relay(context) == 1

    call.script.on_route[b"VOICEMAIL"] = voicemail

    def prepare(context: Context) -> None:
        call.set_flags(context)
        call.tm.t_on_failure(context, b"VOICEMAIL")

    call.prepare = prepare
    call.request(b"INVITE")
    call.reply(486, b"Busy Here")
    call.reply(404, b"Not Found")
    (line,) = call.lines()
    assert line.endswith(";code=486;reason=Busy Here")


@pytest.mark.parametrize(("report", "count"), [(0, 0), (1, 1)])
def test_cancels_are_accounted_on_demand(services: FakeServices, report: int, count: int) -> None:
    call = Accounted(services, report_cancels=report, log_flag=1)
    call.request(b"INVITE", branch=b"inv")
    call.reply(180, b"Ringing")
    cancel = call.request

    original = call._run

    def run(context: Context) -> None:
        context.shared.flags = 1 << 1
        original(context)

    call._run = run  # type: ignore[method-assign]  # the script sets the flag for CANCEL, too
    cancel(b"CANCEL", branch=b"inv")
    assert sum(";method=CANCEL;" in line for line in call.lines()) == count


@pytest.mark.parametrize(("early", "count"), [(0, 0), (1, 1)])
def test_early_media_is_accounted_on_demand(services: FakeServices, early: int, count: int) -> None:
    call = Accounted(services, early_media=early, **FLAGS)
    call.request(b"INVITE")
    call.reply(180, b"Ringing")
    call.reply(183, b"Session Progress")
    assert sum(";code=183;reason=Session Progress" in line for line in call.lines()) == count
    assert not any(";code=180" in line for line in call.lines())


def test_extra_attributes_and_legs_follow(services: FakeServices) -> None:
    call = Accounted(
        services, log_extra="src_user=$fU;nul=$avp(nix);v=$dlg_var(foo)",
        multi_leg_info="a=$avp(legs)", **FLAGS,
    )  # fmt: skip

    def prepare(context: Context) -> None:
        context.shared.avps[b"legs"] = [b"l2", b"l1"]
        call.dialogs.var_sets(context, b"foo", b"bar")
        call.set_flags(context)

    call.prepare = prepare
    call.answer()
    assert call.lines()[0].endswith(";reason=OK;src_user=alice;nul=;v=bar;a=l2;a=l1")


def test_without_legs_there_is_an_empty_one(services: FakeServices) -> None:
    call = Accounted(services, multi_leg_info="a=$avp(legs);b=$avp(more)", **FLAGS)
    call.answer()
    assert call.lines()[0].endswith(";reason=OK;a=;b=")


def test_a_semicolon_in_a_transformation_is_no_separator() -> None:
    definition = "a=$(fu{s.select,0,;}); b = $tU;"
    assert split_definition(definition) == [(b"a", b"$(fu{s.select,0,;})"), (b"b", b"$tU")]


@pytest.mark.parametrize(
    ("comment", "end"),
    [
        (b"hello", "code=;reason=hello"),
        (b"486 busy", "code=486;reason=busy"),
        (b"404", "code=404;reason="),
        (b"4040 x", "code=;reason=4040 x"),
    ],
)
def test_acc_log_request(services: FakeServices, comment: bytes, end: str) -> None:
    call = Accounted(services)
    call.acc.acc_log_request(call.request(b"INVITE"), comment)
    (line,) = call.lines()
    assert line == (
        "ACC: request accounted: timestamp=1700000000;method=INVITE;from_tag=caller;to_tag=;"
        f"call_id=call-1@127.0.0.1;{end}"
    )


def test_setflag_is_the_cores(services: FakeServices) -> None:
    call = Accounted(services)
    context = call.request(b"INVITE")
    assert call.acc.setflag(context, 5) is True
    assert context.shared.flags >> 5 & 1
    assert call.acc.setflag(context, 32) is False


def test_a_call_gives_one_record(services: FakeServices) -> None:
    call = Accounted(services, cdr_enable=1, cdr_extra="c1=$dlg_var(foo);c2=$avp(x)")
    call.within = lambda context: None

    def prepare(context: Context) -> None:
        call.dialogs.var_sets(context, b"foo", b"bar")
        call.set_flags(context)

    call.prepare = prepare
    call.answer()
    call.now += 0.304
    call.request(b"BYE", 2, to_tag=b"callee")
    call.request(b"BYE", 2, to_tag=b"callee", branch=b"again")
    assert call.lines() == [
        "start_time=1700000000.000; end_time=1700000000.304; duration=0.304; c1=bar; c2="
    ]
    assert call.services.statistics.counts["acc:cdrs"] == 1


def test_the_record_may_start_at_the_answer(services: FakeServices) -> None:
    call = Accounted(services, cdr_enable=1, cdr_start_on_confirmed=1)
    call.request(b"INVITE")
    call.now += 5
    call.reply(200)
    call.request(b"ACK", to_tag=b"callee", branch=b"ack")
    call.now += 2
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.lines() == ["start_time=1700000005.000; end_time=1700000007.000; duration=2.000"]


@pytest.mark.parametrize(("on_failed", "count"), [(0, 0), (1, 1)])
def test_failed_calls_have_records_on_demand(
    services: FakeServices, on_failed: int, count: int
) -> None:
    call = Accounted(services, cdr_enable=1, cdr_on_failed=on_failed)
    call.request(b"INVITE")
    call.now += 3
    call.reply(486, b"Busy Here")
    expected = ["start_time=1700000000.000; end_time=1700000000.000; duration=0"]
    assert call.lines() == expected * count


@pytest.mark.parametrize(("enabled", "count"), [(0, 0), (1, 1)])
def test_expired_calls_have_records_on_demand(
    services: FakeServices, enabled: int, count: int
) -> None:
    call = Accounted(services, cdr_enable=1, cdr_expired_dlg_enable=enabled)
    call.answer()
    call.dialogs.tracker.records.flush()
    call.now += 43200
    call.dialogs.hand_out_due()
    assert len(call.lines()) == count


def test_cdr_skip_leaves_a_call_out(services: FakeServices) -> None:
    call = Accounted(services, cdr_enable=1, cdr_skip="nocdr")

    def prepare(context: Context) -> None:
        call.dialogs.var_sets(context, b"nocdr", b"1")
        call.set_flags(context)

    call.prepare = prepare
    call.answer()
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.lines() == []


def test_a_script_variable_named_start_time_does_no_harm(services: FakeServices) -> None:
    call = Accounted(services, cdr_enable=1)
    call.answer()
    context = call.request(b"INFO", 2, to_tag=b"callee")
    call.dialogs.var_sets(context, b"start_time", b"noon")
    call.request(b"BYE", 3, to_tag=b"callee")
    assert call.lines() == ["start_time=noon; end_time=1700000000.000; duration=0.000"]


def test_names_and_parameters() -> None:
    names = {name for _, found in declared(Acc, "kemi") for name in found.names}
    functions = {"acc_log_request", "acc_db_request", "acc_request", "setflag"}
    assert names == {f"acc.{name}" for name in functions}
    assert set(WITHOUT_EFFECT) <= set(AccParams.__slots__)


def test_a_flag_set_later_counts_only_when_prepared(services: FakeServices) -> None:
    call = Accounted(services, acc_prepare_flag=6, **FLAGS)
    for number, (at_first, count) in enumerate([(0, 0), (1 << 6, 1)]):
        call.flags = at_first
        context = call.request(b"INVITE", branch=b"b%d" % number)
        context.shared.flags |= 1 << 1
        call.reply(200)
        assert len(call.lines()) == count


def test_all_may_be_prepared(services: FakeServices) -> None:
    call = Accounted(services, acc_prepare_always=1, **FLAGS)
    call.flags = 0
    context = call.request(b"INVITE")
    context.shared.flags |= 1 << 1
    call.reply(200)
    assert len(call.lines()) == 1


def test_an_ack_is_accounted_by_the_flags_of_its_invite(services: FakeServices) -> None:
    call = Accounted(services, report_ack=1, **FLAGS)
    call.answer()
    assert call.lines()[1] == (
        "ACC: request acknowledged: timestamp=1700000000;method=ACK;from_tag=caller;"
        "to_tag=callee;call_id=call-1@127.0.0.1;code=200;reason=OK"
    )
    call.flags = 0
    call.call_id = b"call-2@127.0.0.1"
    call.request(b"INVITE", branch=b"other")
    call.reply(200)
    call.request(b"ACK", to_tag=b"callee", branch=b"other-ack")
    assert len(call.lines()) == 2


def test_the_reason_may_come_from_a_header(services: FakeServices) -> None:
    call = Accounted(services, reason_from_hf=1, **FLAGS)
    call.request(b"INVITE")
    call.reply(200, more=(b"Reason: Q.850;cause=16",))
    assert call.lines()[0].endswith(";code=200;reason=Q.850;cause=16")


@pytest.mark.parametrize(
    ("mode", "time"),
    [
        (1, "time_exten=250000"),
        (2, "time_attr=1700000000.250"),
        (3, "time_attr=2023-11-15 07:13:20"),
        (4, "time_attr=2023-11-14 22:13:20"),
    ],
)
def test_more_exact_times(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch, mode: int, time: str
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tzset()
    call = Accounted(services, time_mode=mode, **FLAGS)
    call.now += 0.25
    call.answer()
    monkeypatch.undo()
    tzset()
    assert call.lines()[0].startswith(
        f"ACC: transaction answered: timestamp=1700000000;{time};method=INVITE;"
    )


def test_lines_have_a_facility_of_their_own(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, str]] = []
    monkeypatch.setattr("syslog.openlog", lambda *arguments: None)
    monkeypatch.setattr("syslog.syslog", lambda priority, text: sent.append((priority, text)))
    services.log = Log(DEBUG, write=Syslog(FACILITIES["LOG_DAEMON"], "kamailiod"))
    call = Accounted(
        services, log_facility="LOG_LOCAL3", cdr_facility="LOG_LOCAL4", cdr_enable=1, **FLAGS
    )
    call.answer()
    call.request(b"BYE", 2, to_tag=b"callee")
    lines = [(priority >> 3, text) for priority, text in sent if "<acc>" in text]
    assert [(facility, "ACC: " in text) for facility, text in lines] == [(19, True), (20, False)]
    services.log.notice("core", "hello")
    assert sent[-1][0] >> 3 == 0, "that of the log itself"


def test_a_call_ended_by_another_worker_gives_one_record(services: FakeServices) -> None:
    call = Accounted(services, cdr_enable=1)
    call.answer()
    call.state()
    call.now += 7
    call.restart_worker()
    acc = services.load(Acc, cdr_enable=1)
    acc.mod_init()
    acc.child_init(1)
    acc.clock = lambda: call.now
    call.within = lambda context: None
    call.request(b"BYE", 2, to_tag=b"callee")
    call.request(b"BYE", 2, to_tag=b"callee", branch=b"again")
    assert call.lines() == ["start_time=1700000000.000; end_time=1700000007.000; duration=7.000"]
