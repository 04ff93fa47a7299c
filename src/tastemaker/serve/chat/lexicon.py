"""Words people use -> what they mean for a list: small tables, all in English, all in one place."""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"[^\W_]+|[,;!?.]")
_KANA = "\u3099\u309a"  # marks that make another letter, not an accent
SYNONYMS: dict[str, tuple[str, ...]] = {
    "animated": ("animation",),
    "biopic": ("biography",),
    "black and white noir": ("film noir",),
    "cartoon": ("animation", "animated"),
    "family friendly": ("children", "childrens", "family", "kids"),
    "for kids": ("children", "childrens", "family", "kids"),
    "for children": ("children", "childrens", "family", "kids"),
    "frightening": ("horror",),
    "funny": ("comedy",),
    "futuristic": ("sci fi", "science fiction"),
    "hilarious": ("comedy",),
    "kids": ("children", "childrens", "family"),
    "love story": ("romance",),
    "noir": ("film noir",),
    "romantic": ("romance",),
    "scary": ("horror",),
    "sci fi": ("science fiction", "scifi"),
    "science fiction": ("sci fi", "scifi"),
    "scifi": ("sci fi", "science fiction"),
    "suspense": ("thriller",),
    "whodunit": ("mystery",),
}
"""Ways to say the values of a catalogue; a word that is a value itself needs no entry."""
DECADES = {
    "twenties": 1920,
    "thirties": 1930,
    "forties": 1940,
    "fifties": 1950,
    "sixties": 1960,
    "seventies": 1970,
    "eighties": 1980,
    "nineties": 1990,
}
COMPARATIVES: dict[str, tuple[tuple[str, ...], int]] = {
    "older": (("year", "release_year", "published", "publication_year"), -1),
    "earlier": (("year", "release_year", "published", "publication_year"), -1),
    "newer": (("year", "release_year", "published", "publication_year"), 1),
    "later": (("year", "release_year", "published", "publication_year"), 1),
    "shorter": (("runtime", "duration", "length", "minutes", "pages"), -1),
    "longer": (("runtime", "duration", "length", "minutes", "pages"), 1),
    "cheaper": (("price", "cost"), -1),
}
"""Words that compare with what was shown: the columns they may be about, and in which direction."""
ROLES: dict[str, tuple[str, ...]] = {
    "actor": ("actors", "actor", "cast", "stars"),
    "actress": ("actors", "actor", "cast", "stars"),
    "star": ("stars", "actors", "actor", "cast"),
    "director": ("directors", "director"),
    "author": ("authors", "author", "writer", "writers"),
    "writer": ("writers", "writer", "authors", "author"),
    "artist": ("artists", "artist"),
    "band": ("bands", "band", "artists", "artist"),
    "studio": ("studios", "studio"),
    "publisher": ("publishers", "publisher"),
    "genre": ("genres", "genre"),
}
ORDINALS = {
    **{word: n for n, word in enumerate(("first", "second", "third", "fourth", "fifth"))},
    **{word: n + 5 for n, word in enumerate(("sixth", "seventh", "eighth", "ninth", "tenth"))},
    **{word: n for n, word in enumerate(("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th"))},
    "last": -1,
}
NUMBERS = {
    word: n for n, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
} | {str(n + 1): n for n in range(20)}
NEGATIONS = frozenset(
    [
        *("not", "no", "without", "except", "nothing", "avoid", "skip", "never", "minus", "neither", "nor"),
        *("dont", "doesnt", "didnt", "isnt", "arent", "hate", "hated", "dislike", "disliked", "forget"),
    ]
)
DENIALS = tuple(
    said.split()
    for said in (
        *("anything but", "everything but", "other than", "rather than", "instead of"),
        *("cant stand", "cannot stand", "had enough of", "sick of", "tired of"),
    )
)
"""Several words that together are a negation."""
DENY_ONE = frozenset(["non", "less"])
"""These deny the next value alone: ``a non-romantic comedy``."""
LATER, EARLIER = frozenset(["later", "newer", "after", "onwards"]), frozenset(["earlier", "older", "before"])
"""Such may follow on a year: ``1995 or later``."""
TURNS = frozenset(["but", "just", "only", "rather", "instead", ";", ".", "!", "?"])
"""After these a negation is over."""
ARTICLES = frozenset(["a", "an", "the", "some", "something", "any", "anything", "that", "this"])
BEFORE_TITLES = frozenset(
    [
        *("like", "to", "than", "about", "of", "is", "was", "why", "did", "made", "directed", "wrote", "in", "for"),
        *("liked", "love", "loved", "enjoyed", "enjoy", "adore", "adored", "hate", "hated", "disliked", "not", "no"),
        *("seen", "saw", "watched", "read", "finished", "rate", "give", "except", "without", "recommend", "stand"),
    ]
)
LIKED = frozenset(["liked", "love", "loved", "enjoyed", "enjoy", "adore", "adored"])
DISLIKED = frozenset(["hate", "hated", "disliked", "not", "no", "without", "except", "dont", "didnt"])
SEEN = frozenset(["seen", "saw", "watched", "read", "finished"])
UNSEEN = frozenset(["havent", "hasnt", "never", "not"])
KIND_NOUNS = frozenset(["film", "films", "movie", "movies", "one", "book", "novel", "game", "song", "album", "show"])
REQUESTS = re.compile(
    r"^(?:(?:please|can you|could you|would you|hi|hello|hey|ok|okay|well|now|,) )*"
    r"(?:recommend|suggest|find|show me|give me|get me|i want|i would like|id like|im looking|i am looking|looking for"
    r"|i feel like|im in the mood|i am in the mood|in the mood|what should|what can|what could"
    r"|what is a good|what are some good|whats a good|any good|i need|play"
    r"|tonight|something to|a good|i fancy|got any|do you have|have you)"
)
ADDS = re.compile(r"^(?:, )?(?:and|also|plus|too|but)\b|\b(?:also|as well|too)$")
MORE = re.compile(r"\b(?:more|others?|something else|anything else|what else|next|different|another|again)\b")
RESET = re.compile(
    r"^(?:(?:start over|start again|new search|from scratch)\b"
    r"|(?:reset|clear|forget (?:it|that|all|everything))"
    r"(?:(?: (?:all|everything|that|the|my|filters?|please))*$|(?= [,;.!?])))"
)
"""What comes after it is read as any other words: ``start over, with a comedy``."""
UNDO = re.compile(
    r"^(?:undo|go back|back|take (?:that|it) back|revert|previous list|never ?mind)"
    r"(?: (?:that|it|please|one step|to the (?:last|previous) (?:list|one)))*(?: [.!])*$"
)
WHY = re.compile(r"^(?:and |but |so )?(?:why|how come|explain|what makes)\b|\bwhy (?:this|that|did you)\b")
RATING = re.compile(r"\b(?:would i (?:rate|like|love|enjoy|give)|will i (?:like|love|enjoy)|how many stars|predict)\b")
DETAILS = re.compile(
    r"^(?:and |so )?(?:tell me (?:more )?about|more about|details?|describe|what is|whats|what about|who "
    r"|when was|when did|what year|what genre|how long is|is it)\b"
)
ABOUT = re.compile(
    r"^(?:(?:and|so|but|well|ok|okay|,) )*(?:(?:how|what|which|who|when|where)(?: \w+){0,2} )?"
    r"(?:is|isnt|was|wasnt|does|doesnt|did|didnt|has|hasnt|had|would|will"
    r"|(?:should|can|could) (?:i|we) (?:watch|see|read))\b(?! it possible\b)"
)
"""Such a beginning with an item right after it is a question about the item."""
SMALL_TALK = re.compile(
    r"^(?:hi|hello|hey|good (?:morning|evening|afternoon)|thanks|thank you|cheers|bye|goodbye|who are you|what are you"
    r"|what can you do|help|how are you|great|cool|nice|perfect|ok|okay|lovely|wonderful|awesome|sorry|lol)"
    r"(?: (?:there|very much|so much|a lot|you|today|again|that is all|for now|then|please|thanks|great))*(?: [!.?,])*$"
)
_STOP = """
    a about again all also am an and any anything are as at back be been but by can could d did do does doing
    else even ever feel for find from get give got had has have hello hey hi how i id if im in instead into is
    it its ive just kind know let like ll looking make made makes many may maybe me might mood more most much my
    need new no not now of off ok okay on one ones only or other others out over play please quite rather re
    really recommend right s see should show so some something sort still stuff such suggest t than thanks that
    the their them then there these they thing things this those though to today tonight too up us ve very want
    released filmed published pre post till onwards non cant havent hasnt
    was watch watched we well were what when where which while who why will with without would yes yet you your
    good great film films movie movies book books between before after since until older newer earlier later
    early mid late similar less bit little dont didnt hate love loved liked enjoyed seen saw , ; . ! ?
"""
STOP = frozenset(_STOP.split())
"""Words that say nothing to a search."""


def tokens(text: str) -> list[str]:
    """Lower-case words without accents and apostrophes, and the punctuation between them."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("\u2019", "'").replace("&", " and "))
    plain = "".join(c for c in plain if c in _KANA or not unicodedata.combining(c)).replace("'", "")
    plain = unicodedata.normalize("NFC", plain)
    return WORD.findall(re.sub(r"(?<=\d)-(?=\d)", " to ", re.sub(r"(?<=[a-z])\.(?=[a-z])", "", plain)))


def key(text: str) -> tuple[str, ...]:
    """The words alone: what titles and values are looked up by."""
    return tuple(word for word in tokens(text) if word.isalnum())


def singular(word: str) -> str:
    """``comedies`` as ``comedy``, ``thrillers`` as ``thriller``."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
