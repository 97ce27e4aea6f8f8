"""Operators as Kamailio 5.6.3 computes them: every expected value was seen in a run of it."""

import pytest

OBSERVED = [
    ("2 + 3 * 4", 14), ("10 - 2 - 3", 5), ("-7 / 2", -3), ("-2 * 3", -6), ("7 mod 4", 3),
    ("- 3 + 5", 2), ("1 << 33", 2), ("0x1f", 31), ("010", 8), ("yes", 1),
    ("2 << 1 == 4", 2), ("0 == 2 < 3", 0), ("6 ^ 2 & 3", 0), ("1 & 2 ^ 3", 1),
    ("1 | 2 & 0", 1), ("1 << 1 & 2", 2), ("1 & 3 << 1", 0), ("1 ^ 1 << 1", 3),
    ("1 + 2 << 1", 6), ("5 & 3 == 1", 0), ("5 > 3 > 1", 0), ("1 || 0 && 0", 1),
    ("1 and 0 or 1", 1), ("not 1", 0), ("!5", 0), ("!1 + 1", 1), ("!0 == 1", 1),
    ('"a" + 1 + 2', "a12"), ("$var(a) + 1", "51"), ("1 + $var(a)", 6), ("$var(a) * 2", 10),
    ('"a" + "b" == "ab"', 1), ("$avp(u) + 1", "1"), ('$avp(u) + "z"', "z"),
    ("$avp(u) + $avp(u)", ""), ("1 - $avp(u)", 1), ("-$var(a)", -5),
    ('"5" == 5', 1), ('"05" == 5', 0), ('5 == $var(a)', 1), ('$var(a) == "05"', 0),
    ("$avp(u) == 0", 1), ('$avp(u) == ""', 1), ("$avp(u) == $null", 1), ("$avp(u) != $null", 0),
    ("$var(x) == $null", 0), ("$var(s) != $null", 1), ("$var(x) == $avp(u)", 1),
    ('$avp(u) != "a"', 1), ("$avp(u) < 1", 1), ("$var(t) < 10", 1), ("$null == 0", 1),
    ('"" == $avp(u)', 1), ("0 == $avp(u)", 1),
    ('"a" eq "A"', 0), ('"a" ne "b"', 1), ("$var(a) eq 5", 1),
    ('"abc" =~ "B"', 1), ('$avp(u) =~ "^$"', 1), ('$var(x) =~ "0"', 1), ('"ab" =~ $avp(u)', 1),
    ('(int)"12"', 12), ('(int)"12abc"', 0), ('(int)"0x10"', 16), ('(int)"010"', 10),
    ("(str)5 + 1", "51"), ("(int)$avp(u)", 0), ("(str)$avp(u)", ""),
    ("strlen($var(x))", 1), ('strlen("abc") + 1', 4), ("strempty($avp(u))", 1),
    ("defined $avp(u)", 0), ("defined $null", 0), ("defined $var(x)", 1),
    ('selval(1, "a", "b")', "a"), ("selval($avp(u), 1, 2)", 2), ("!$avp(u)", 1), ("!$var(a)", 0),
    ("route(RM)", -1), ("route(R5)", 5), ("route(RN)", 1), ("route(RB)", 1),
    ("!route(RM)", 1), ("route(RM) || route(R5)", 1), ("route(R5) == 5", 0),
    ("route(R5) + 1", 2), ("$var(x) + route(R5)", 1), ('"x" + route(R5)', "x1"),
    ("($var(a) == 5) + 1", 2), ("$var(s) && 1", 0), ("7 / 0", "UNSET"), ("7 mod 0", "UNSET"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), OBSERVED)
def test_value(evaluate, expression, expected):
    assert evaluate(expression, x=0, s="", a="5", t="9") == expected


MISMATCHES = [
    '$var(a) - "1"', '"5" && 1', '!"0"', '5 ieq "5"', '"5" ieq 5', "strlen(12345)", '2 - "1"',
    '$var(t) > "8"', '0 || "1"', '5 == "5"', '1 + "10"', '(5 > 3) + "a"', "5 eq $var(a)",
    "1 == 1 eq 1",
]  # fmt: skip


@pytest.mark.parametrize("expression", MISMATCHES)
def test_mismatch_is_refused(faults, expression):
    found = faults(f"request_route {{ $var(r) = {expression}; }}")
    assert len(found) == 1
    assert "type mismatch" in found[0]


def test_left_operand_is_computed_before_calls_on_the_right(engine):
    fake = engine("request_route { $var(r) = $var(x) + route(R); } route[R] { $var(x) = 9; }")
    fake.variables["$var(x)"] = 1
    fake.request()
    assert fake.variables["$var(r)"] == 2


def test_keywords_addresses_and_myself(engine):
    fake = engine(
        'request_route { if (uri == myself) a(); if (src_ip == 10.0.0.0/8) b();'
        " if (method == INVITE && proto == TCP) c(); if (src_ip != 10.0.0.0/8) d();"
        ' if (status =~ "^2..") e(); if (from_uri != myself) f(); }'
    )
    fake.keywords = {"uri": "me", "from_uri": "you", "src_ip": "10.1.1.1", "method": "INVITE",
                     "proto": "tcp", "status": 200}  # fmt: skip
    assert fake.request() == 1
    assert fake.called() == ["a", "b", "c", "e", "f"]


def test_failed_conversion_is_logged(engine):
    fake = engine('request_route { $var(r) = 1 + $var(x); }')
    fake.variables["$var(x)"] = "12abc"
    fake.request()
    assert fake.variables["$var(r)"] == 1
    assert fake.logs == [(0, 'automatic string to int conversion for "12abc" failed')]
