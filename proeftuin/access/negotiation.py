"""Which form an answer takes: what the caller accepts (RFC 9110 §12.5.1), or names in so many words."""

from collections.abc import Sequence


def choose(accept: str | None, offered: Sequence[str]) -> str | None:
    """Return the media type of `offered` that `accept` prefers, the first of equals; None when none is acceptable.

    Without a header everything is acceptable. What cannot be read in the header counts as not there.
    """
    ranges = [each for each in map(_range, (accept or "*/*").split(",")) if each is not None]
    weighed = [(_quality(media_type, ranges), -place, media_type) for place, media_type in enumerate(offered)]
    quality, _, best = max(weighed)
    return best if quality > 0 else None


def _range(text: str) -> tuple[str, float] | None:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    try:
        quality = next((float(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
    except ValueError:
        return None
    return (name, quality) if "/" in name and 0 <= quality <= 1 else None


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """The quality of the most specific range that covers the type."""
    covering = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((quality for name in covering for range_, quality in ranges if range_ == name), 0.0)
