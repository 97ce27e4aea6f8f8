"""The token the parser eats: owns Token and the tables of reserved words and operators."""

from .source import Position

# word -> (terminal of the grammar, canonical spelling)
KEYWORDS = {
    "if": ("IF", "if"), "else": ("_ELSE", "else"), "while": ("WHILE", "while"),
    "switch": ("SWITCH", "switch"), "case": ("CASE", "case"), "default": ("CASE", "default"),
    "break": ("BREAK", "break"), "return": ("LEAVE", "return"), "exit": ("LEAVE", "exit"),
    "drop": ("LEAVE", "drop"), "route": ("ROUTE", "route"),
    "request_route": ("ROUTE_KIND", "request"), "reply_route": ("ROUTE_KIND", "reply"),
    "onreply_route": ("ROUTE_KIND", "reply"), "failure_route": ("ROUTE_KIND", "failure"),
    "branch_route": ("ROUTE_KIND", "branch"), "onsend_route": ("ROUTE_KIND", "onsend"),
    "and": ("OPERATOR", "&&"), "or": ("OPERATOR", "||"), "not": ("PREFIX", "!"),
    "eq": ("OPERATOR", "eq"), "ne": ("OPERATOR", "ne"), "ieq": ("OPERATOR", "ieq"),
    "ine": ("OPERATOR", "ine"), "mod": ("OPERATOR", "%"), "defined": ("PREFIX", "defined"),
}  # fmt: skip
TOP_LEVEL_KEYWORDS = {
    "loadmodule": "LOADMODULE", "loadmodulex": "LOADMODULE", "modparam": "MODPARAM",
    "modparamx": "MODPARAM", "cfgengine": "CFGENGINE", "flags": "FLAGS", "avpflags": "FLAGS",
    "listen": "LISTEN", "alias": "ALIAS", "domain": "ALIAS", "socket": "SOCKET",
    "loadpath": "LOADPATH", "mpath": "LOADPATH",
}  # fmt: skip
LISTEN_OPTIONS = {"advertise": "ADVERTISE", "name": "NAME", "virtual": "VIRTUAL"}
OPERATORS = {
    "!": "PREFIX", "~": "PREFIX", "-": "MINUS", "*": "STAR", "/": "SLASH", "=": "_ASSIGN",
    "{": "_LBRACE", "}": "_RBRACE", "(": "_LPAR", ")": "_RPAR", "[": "_LSQB", "]": "_RSQB",
    ";": "_SEMICOLON", ":": "COLON", ",": "_COMMA", ".": "DOT",
}  # fmt: skip


class Token:
    """A lexeme after preprocessing: grammar terminal, text (a string's is unquoted), position."""

    __slots__ = ("position", "type", "value")

    def __init__(self, type: str, value: str, position: Position) -> None:
        self.type = type
        self.value = value
        self.position = position

    def __repr__(self) -> str:
        return f"Token({self.type}, {self.value!r})"


def operator_token(text: str, position: Position) -> Token:
    """The token of punctuation or an operator's sign."""
    return Token(OPERATORS.get(text, "OPERATOR"), text, position)


def word_token(text: str, position: Position) -> Token:
    """The token of a word: a keyword's or an ID."""
    terminal, value = KEYWORDS.get(text) or ("ID", text)
    return Token(terminal, value, position)
