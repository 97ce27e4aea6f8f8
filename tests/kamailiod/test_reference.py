"""The reference page says what the modules declare."""

from pathlib import Path

from kamailiod.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference(), "run: python -m kamailiod.reference > docs/reference.md"
