"""Rows beside other libraries, each optional: a peer that is not here is left out, with a sentence that says so."""


class Absent(Exception):
    """A peer is not on this machine; the message says how it gets here."""
