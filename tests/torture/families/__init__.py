"""Families of cases, a table each."""

from case import Case
from world import METHODS

from families import images, options

FAMILIES = (images, options)
SHORT = 40  # cases of each family in the short form, of the first method
WHOLE = {f"out/{method}": images.predict(method) for method in METHODS}  # what is learnt from a part while it is whole


def chosen(only: str, *, short: bool) -> list[Case]:
    found = []
    for family in FAMILIES:
        listed = [case for case in family.cases(METHODS[:1] if short else METHODS) if case.name.startswith(only)]
        found += listed[:: -(-len(listed) // SHORT)] if short and listed else listed
    return found
