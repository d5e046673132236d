"""Facts about participants, without those that would single somebody out.

Ages are binned. A value that fewer than `min_group` participants share is withheld; so are the rarest facts of whoever is
alone with a combination of facts, until all who still show facts share their combination with enough others (Sweeney 2002,
"k-anonymity: a model for protecting privacy", by suppression of single cells).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

Row = tuple[str | None, ...]


def binned_age(text: str, bin_years: int) -> str:
    """Return the first year of the age's bin, such as '20' for 20 to 24; empty if the text is no age.

    From 90 on all ages are one, since so few people are of them.
    """
    if not text.isdecimal():
        return ""
    years = min(int(text), 90)
    return str(years - years % bin_years)


def withhold_rare(
    facts: Mapping[str, Mapping[str, str]], keys: Sequence[str], min_group: int
) -> tuple[dict[str, dict[str, str | None]], dict[str, int]]:
    """Withhold the facts that too few participants share.

    Parameters
    ----------
    facts : mapping of str to mapping
        Facts by participant.
    keys : sequence of str
        Facts that may be published.
    min_group : int
        The smallest group that is shown; 1 shows all.

    Returns
    -------
    kept : dict of str to dict
        None where a fact is withheld or was never written down.
    withheld : dict of str to int
        How many values of each fact are withheld.
    """
    kept: dict[str, dict[str, str | None]] = {
        name: {key: (own.get(key, "").strip() or None) for key in keys} for name, own in sorted(facts.items())
    }
    withheld: Counter[str] = Counter()

    def drop(name: str, key: str) -> None:
        kept[name][key] = None
        withheld[key] += 1

    for key in keys:
        counts = Counter(own[key] for own in kept.values())
        for name, own in kept.items():
            if own[key] is not None and counts[own[key]] < min_group:
                drop(name, key)
    while True:
        combined = Counter(_combination(own, keys) for own in kept.values())
        alone = [
            name
            for name, own in kept.items()
            if combined[_combination(own, keys)] < min_group and any(own[key] is not None for key in keys)
        ]
        if not alone:
            return kept, dict(withheld)
        # One round at a time, all who are alone at once: the result does not depend on the order of names.
        counts_of = {key: Counter(own[key] for own in kept.values()) for key in keys}
        for name in alone:
            shown = [key for key in keys if kept[name][key] is not None]
            rarest = min(shown, key=lambda key: (counts_of[key][kept[name][key]], -keys.index(key)))
            drop(name, rarest)


def _combination(own: Mapping[str, str | None], keys: Sequence[str]) -> Row:
    return tuple(own[key] for key in keys)
