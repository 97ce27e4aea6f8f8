"""From tokens to the tree's items: owns the lark parser and what happens after a syntax error."""

import os
from collections.abc import Iterator
from typing import cast

from lark import Lark, UnexpectedToken
from lark import Token as LarkToken

from .builder import Builder
from .faults import Findings
from .token import LISTEN_OPTIONS, TOP_LEVEL_KEYWORDS, Token
from .tree import Item

_ROUTES = {"ROUTE", "ROUTE_KIND", "EVENT_ROUTE"}
_STARTS = {*TOP_LEVEL_KEYWORDS.values(), *_ROUTES} - {"ROUTE"}


class Parser:
    """Parses each top-level item by itself, so that one fault does not hide the others."""

    def __init__(self) -> None:
        grammar = os.path.join(os.path.dirname(__file__), "grammar.lark")
        with open(grammar, encoding="utf-8") as file:
            self._lark = Lark(
                file.read(), parser="lalr", lexer="basic", start="item", transformer=Builder(),
                maybe_placeholders=False,
            )  # fmt: skip

    def parse(self, tokens: list[Token], findings: Findings) -> list[Item]:
        """The items of the config, in order; syntax errors go to the findings."""
        _reserve(tokens)
        items: list[Item] = []
        for segment in _segments(tokens):
            items.extend(self._item(segment, findings))
        return items

    def _item(self, tokens: list[Token], findings: Findings) -> tuple[Item, ...]:
        state = self._lark.parse_interactive()
        feed = state.parser_state.feed_token
        token = tokens[0]
        try:
            for token in tokens:
                feed(cast(LarkToken, token))
            feed(LarkToken("$END", ""), True)
            return cast("tuple[Item, ...]", state.parser_state.value_stack[-1])
        except UnexpectedToken as error:
            findings.fault(token.position, _describe(token, error))
        return ()


def _reserve(tokens: list[Token]) -> None:
    """Give words that are reserved only outside of routes, or only here, their own terminals."""
    depth = 0
    list_line = None
    for index, token in enumerate(tokens):
        if token.type == "_LBRACE":
            depth += 1
        elif token.type == "_RBRACE":
            depth -= 1
        elif _opens_route(tokens, index):
            depth = 0
        elif depth == 0 and token.type == "ID":
            following = tokens[index + 1].type if index + 1 < len(tokens) else ""
            token.type = _reserved(token, tokens[index - 1] if index else None, following,
                                   list_line)
        if token.type in ("LISTEN", "ALIAS"):
            list_line = (token.position.file, token.position.line)


def _reserved(
    token: Token, before: Token | None, following: str, list_line: tuple[str, int] | None
) -> str:
    in_list = list_line == (token.position.file, token.position.line)
    if in_list and following != "_ASSIGN":
        return LISTEN_OPTIONS.get(token.value, "WORD")
    if before is not None and before.type in ("_ASSIGN", "COLON", "DOT"):
        return token.type
    if following in ("_ASSIGN", "DOT") and token.value not in TOP_LEVEL_KEYWORDS:
        return token.type
    if token.value == "desc" and following == "STRING":
        return "DESC"
    if token.value in LISTEN_OPTIONS and following not in ("_ASSIGN", "DOT"):
        return LISTEN_OPTIONS[token.value]
    return TOP_LEVEL_KEYWORDS.get(token.value, token.type)


def _segments(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens cut where a top-level item starts, whatever faults lie between."""
    depth, start = 0, 0
    for index, token in enumerate(tokens):
        if token.type == "_LBRACE":
            depth += 1
        elif token.type == "_RBRACE":
            depth = max(0, depth - 1)
        elif _opens_route(tokens, index) or (depth == 0 and _opens_item(tokens, index)):
            depth = 0
            if index > start:
                yield tokens[start:index]
            start = index
    if start < len(tokens):
        yield tokens[start:]


def _opens_route(tokens: list[Token], index: int) -> bool:
    token = tokens[index]
    following = tokens[index + 1].type if index + 1 < len(tokens) else ""
    return (token.type in _ROUTES and following in ("_LSQB", "_LBRACE")) or (
        token.type == "EVENT_ROUTE"
    )


def _opens_item(tokens: list[Token], index: int) -> bool:
    token = tokens[index]
    if token.type in _STARTS:
        return True
    if token.type != "ID" or (index and tokens[index - 1].type in ("DOT", "_ASSIGN", "COLON")):
        return False
    following = [follower.type for follower in tokens[index + 1 : index + 4]]
    return following[:1] in (["_ASSIGN"], ["_LSQB"]) or following == ["DOT", "ID", "_ASSIGN"]


def _describe(token: Token, error: UnexpectedToken) -> str:
    if error.token.type == "$END":
        return f"syntax error: the statement ends too early, after {token.value!r}"
    missing = " (missing ';'?)" if "_SEMICOLON" in error.expected else ""
    return f"syntax error at {token.value!r}{missing}"
