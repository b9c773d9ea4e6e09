"""What a search text asks for: `error "no space" +disk -debug`."""

import re
from dataclasses import dataclass, field

_PARTS = re.compile(r'([+\-!]?)(?:"([^"]*)"?|(\S+))')


@dataclass(slots=True)
class SearchText:
    """The words of a search, in lower case."""

    #: at least one of these must be there, when there are any
    any_: list[str] = field(default_factory=list)
    #: each of these must be there (`+word`)
    all_: list[str] = field(default_factory=list)
    #: none of these may be there (`-word`, `!word`)
    none: list[str] = field(default_factory=list)

    def matches(self, text: str) -> bool:
        """Whether a text answers the search."""
        text = text.lower()
        if self.any_ and not any(w in text for w in self.any_):
            return False
        return all(w in text for w in self.all_) and not any(w in text for w in self.none)


def parse_search_text(query: str) -> SearchText:
    """The words of a query; quotes keep a phrase together."""
    found = SearchText()
    for sign, phrase, word in _PARTS.findall(query):
        text = (phrase or word).lower()
        if not text:
            continue
        if sign == "+":
            found.all_.append(text)
        elif sign:
            found.none.append(text)
        else:
            found.any_.append(text)
    return found
