"""A little English morphology, reached through format specifiers."""

# Past tenses that the spelling rules below would get wrong; each is its verb's participle too.
_PAST = {
    "bring": "brought", "build": "built", "buy": "bought", "catch": "caught", "feed": "fed",
    "find": "found", "get": "got", "hold": "held", "lend": "lent", "make": "made", "mislay": "mislaid",
    "sell": "sold", "send": "sent", "teach": "taught",
}  # fmt: skip
# Verbs that double their last consonant.
_DOUBLING = {"chop", "grab", "refer", "shred", "skip", "swap", "tag", "trim", "wrap"}
_VOWELS = "aeiou"


class Word(str):
    """A word or phrase that inflects: `{w:a}` an owl, `{w:s}` owls, `{w:ed}`, `{w:ing}`."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        """Inflect by `spec`: a, s, ed or ing; the first word of a phrasal verb takes the ending."""
        if spec == "a":
            return f"{'an' if self[0].lower() in _VOWELS else 'a'} {self}"
        if spec == "s":
            return _with_s(self)
        if spec in ("ed", "ing"):
            verb, space, particle = self.partition(" ")
            return (_past(verb) if spec == "ed" else _gerund(verb)) + space + particle
        return super().__format__(spec)


def words(text: str) -> tuple[Word, ...]:
    """Split a comma-separated list into words and phrases."""
    return tuple(Word(part.strip()) for part in text.split(","))


def word_tuples(text: str) -> tuple[tuple[Word, ...], ...]:
    """Split a comma-separated list of `first/second/...` into tuples."""
    return tuple(tuple(Word(form.strip()) for form in part.split("/")) for part in text.split(","))


def word_pairs(text: str) -> tuple[tuple[Word, Word], ...]:
    """Split a comma-separated list of `first/second` into pairs."""
    return tuple((first, second) for first, second in word_tuples(text))


def as_sentence(text: str) -> str:
    """Begin with a capital letter."""
    return text[:1].upper() + text[1:]


def _ends_with_consonant_and_y(word: str) -> bool:
    return word[-1] == "y" and word[-2] not in _VOWELS


def _with_s(word: str) -> str:
    if _ends_with_consonant_and_y(word):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")


def _past(verb: str) -> str:
    if verb in _PAST:
        return _PAST[verb]
    if verb in _DOUBLING:
        return verb + verb[-1] + "ed"
    if _ends_with_consonant_and_y(verb):
        return verb[:-1] + "ied"
    return verb + ("d" if verb.endswith("e") else "ed")


def _gerund(verb: str) -> str:
    if verb in _DOUBLING or verb == "get":
        return verb + verb[-1] + "ing"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb) + "ing"
