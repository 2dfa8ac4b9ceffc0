"""Whether a data set is still the one that a run began with, by what is counted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archspec.errors import RunError

if TYPE_CHECKING:
    from archspec.train.images import ImageSet


class Counts(NamedTuple):
    """Images to train and to test on, classes, and a fingerprint; None is what was not recorded."""

    train: int | None
    test: int | None
    classes: int | None
    fingerprint: str | None = None


def counts_of(images: ImageSet) -> Counts:
    """What is counted of a data set, as it is used."""
    return Counts(images.train_count, images.test_count, len(images.classes), images.fingerprint)


def check_unchanged(data: str, before: Counts, now: Counts) -> None:
    """Raise RunError where what was recorded is another now.

    Results on two data sets would be taken for those of one.
    """
    if any(old not in (None, new) for old, new in zip(before, now, strict=True)):
        if before[:3] != now[:3]:
            # counts tell a person more than fingerprints
            before, now = before._replace(fingerprint=None), now._replace(fingerprint=None)
        raise RunError(
            f"{data} has changed since the run began: {_words(before)} then, {_words(now)} now; "
            "bring it back, or begin another run"
        )


def _words(counts: Counts) -> str:
    nouns = ("training images", "test images", "classes")
    known = zip(counts[:3], nouns, strict=True)
    words = [f"{count:,} {noun}" for count, noun in known if isinstance(count, int)]
    return ", ".join([*words, *filter(None, [counts.fingerprint])])


__all__ = ["Counts", "check_unchanged", "counts_of"]
