"""How arguments are counted and coerced, and what comes back."""

from __future__ import annotations

import pytest

from lua import DONE, FAILED, Function


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ('"text"', b"text"),
        ("5", b"5"),
        ("5.5", b"5.5"),
        ("10000000000", b"10000000000"),
        ("nil", b""),
        ("true", b""),
        ("{}", b""),
        ('"a\\0b\\255"', b"a\0b\xff"),
    ],
)
def test_string_parameter(bench, argument, given):
    bench.run(f"KSR.info({argument})")
    assert bench.calls == [("request", given)]
    assert bench.logged == []


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("5", 5),
        ('"5"', 5),
        ('"0x10"', 16),
        ("3.9", 3),
        ("-3.9", -3),
        ("nil", 0),
        ("true", 0),
        ("{}", 0),
        ('"five"', 0),
        ("0/0", 0),
        ("1/0", 0),
        ("1e300", 0),
        ("4294967296", 4294967296),
    ],
)
def test_int_parameter(bench, argument, given):
    bench.run(f'KSR.log({argument}, "x")')
    assert bench.calls == [("request", given, b"x")]
    assert type(bench.calls[0][1]) is int


def test_too_few_arguments_are_an_error_and_false(bench):
    assert bench.run("KSR.raw(KSR.log(1))") == DONE
    assert bench.calls == [("request", False)]
    assert bench.errors == ["KSR.log: too few arguments (1) at /etc/script.lua:1"]


def test_extra_arguments_are_ignored(bench):
    bench.run('KSR.info("a", "b", "c")')
    assert bench.calls == [("request", b"a")]


def test_function_without_parameters_refuses_any_argument(bench):
    bench.run("KSR.raw(KSR.is_INVITE()) KSR.raw(KSR.is_INVITE(1)) KSR.raw(KSR.is_INVITE(nil))")
    assert bench.calls == [
        ("request",),
        ("request", True),
        ("request", False),
        ("request", False),
    ]


def test_missing_optional_arguments_are_not_passed(bench):
    bench.run(
        'KSR.m.optional("a") KSR.m.optional("a", "7") KSR.m.optional("a", nil, 3)'
        " KSR.m.optional() KSR.m.all_optional() KSR.m.all_optional('4')"
    )
    assert [call[1:] for call in bench.calls] == [
        (b"a",),
        (b"a", 7),
        (b"a", 0, b"3"),
        (),
        (4,),
    ]
    assert len(bench.errors) == 1


def test_variadic_passes_the_rest_as_it_is(bench):
    bench.run('KSR.m.many(1, 2, "x", true) KSR.m.any() KSR.m.any(nil, 1.5)')
    assert [call[1:] for call in bench.calls] == [(b"1", 2, b"x", True), (), (None, 1.5)]


@pytest.mark.parametrize("value", [None, True, False, 0, -1, 2**40, 1.5, b"", b"a\0b"])
def test_results(make_bench, value):
    bench = make_bench([Function("give", lambda context: value)])
    assert bench.said("KSR.raw(KSR.give())") == [value]


def test_a_tuple_is_several_results(make_bench):
    bench = make_bench([Function("give", lambda context: (1, b"two"))])
    assert bench.said("local a, b = KSR.give() KSR.raw(a) KSR.raw(b)") == [1, b"two"]


def test_a_lua_table_as_result(make_bench):
    bench = make_bench([Function("give", lambda context: bench.runtime.table([b"a", 2]))])
    assert bench.said("local t = KSR.give() KSR.raw(t[1]) KSR.raw(t[2]) KSR.raw(#t)") == [
        b"a",
        2,
        2,
    ]


def test_what_is_not_declared_is_nil(bench):
    assert bench.said("KSR.raw(KSR.nathelper == nil)") == [True]
    assert bench.run("KSR.nathelper.f()") == FAILED


def test_require_gives_the_root_table(bench):
    assert bench.said('KSR.raw(require("KSR") == KSR)') == [True]


def test_python_is_out_of_reach(bench):
    assert bench.said("KSR.raw(python)") == [None]
    assert bench.said("KSR.raw(pcall(require, 'python'))")[1] is False


def test_declaration_is_checked():
    with pytest.raises(ValueError, match="unknown parameter kinds"):
        Function("f", print, ("text",))
    with pytest.raises(ValueError, match="optional"):
        Function("f", print, ("str",), optional=2)
