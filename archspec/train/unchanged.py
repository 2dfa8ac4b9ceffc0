"""Whether a data set is still the one that a run began with, by what is counted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archspec.errors import RunError

if TYPE_CHECKING:
    from archspec.train.images import ImageSet


class Counts(NamedTuple):
    """Images to train and to test on, and classes; None is what an older run did not record."""

    train: int | None
    test: int | None
    classes: int | None


def counts_of(images: ImageSet) -> Counts:
    """What is counted of a data set, as it is used."""
    return Counts(images.train_count, images.test_count, len(images.classes))


def check_unchanged(data: str, before: Counts, now: Counts) -> None:
    """Raise RunError where a count that was recorded is another one now.

    Results on two data sets would be taken for those of one.
    """
    if any(old not in (None, new) for old, new in zip(before, now, strict=True)):
        raise RunError(
            f"{data} has changed since the run began: {_words(before)} then, {_words(now)} now; "
            "bring it back, or begin another run"
        )


def _words(counts: Counts) -> str:
    nouns = ("training images", "test images", "classes")
    known = zip(counts, nouns, strict=True)
    return ", ".join(f"{count:,} {noun}" for count, noun in known if count is not None)


__all__ = ["Counts", "check_unchanged", "counts_of"]
