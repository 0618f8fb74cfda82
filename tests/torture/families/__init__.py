"""Families of cases, a table each."""

from case import Case
from world import METHODS

from families import clock, cpp, folders, goes_on, images, limits, options, records, streams

FAMILIES = (images, options, records, folders, streams, limits, clock, goes_on, cpp)
SHORT = 14  # cases of each family in the short form, of the first method
WHOLE = {
    part: words for method in METHODS for part, words in records.wholes(method).items()
}  # what is learnt from a part while it is whole


def chosen(only: str, *, short: bool) -> list[Case]:
    found = []
    for family in FAMILIES:
        listed = [case for case in family.cases(METHODS[:1] if short else METHODS) if case.name.startswith(only)]
        found += listed[:: -(-len(listed) // SHORT)] if short and listed else listed
    return found
