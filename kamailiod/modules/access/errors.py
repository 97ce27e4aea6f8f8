"""What is wrong with a table that an operator wrote."""


class TableError(ValueError):
    """A record that cannot be used; the whole table is refused, and the text names the record."""
