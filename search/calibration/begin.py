"""From what a command asks to a calibration that can begin, or to more of one that is there.

Everything is tried before anything is written: scores, data, device, recipe, space, table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archspec.errors import RunError, ScoreError
from archspec.quantities import several
from archspec.runs import free_folder, locked, now
from search.budgets import Budget
from search.calibration.asked import CalibrationAsked, versions_here
from search.calibration.candidates import Candidate
from search.calibration.folder import CalibrationFolder
from search.calibration.run import Trainer, check_scores
from search.calibration.sample import LEAST, Sample, sample
from search.calibration.table import Band, TableColumns, table_candidates
from search.calibration.zoo import zoo_candidates
from search.protocol import Protocol
from search.scores.catalog import SCORES, TRAIN, find_score
from search.space import Space

#: words that stand for several scores: all that are shipped, and those that build nothing
ALL, TEXT = "all", "text"


@dataclass(frozen=True)
class Wish:
    """What is asked of every kind of calibration.

    scores: names. data: what scores see, and what a sample is trained on; a path that means the
    same from another folder, or a name. batch: images that scores see. device: None is the best at
    hand. out: the folder, None is runs/calibrate-NAME, numbered.
    """

    scores: tuple[str, ...]
    data: str
    batch: int
    seed: int
    device: str | None
    command: str
    out: Path | None = None


def score_names(texts: Sequence[str]) -> tuple[str, ...]:
    """The scores that words such as `naswot,depth`, `all` or `text` ask for, each once.

    Raises ScoreError with the legal names.
    """
    names: dict[str, None] = {}
    for word in (word.strip() for text in texts for word in text.split(",")):
        if word in (ALL, TEXT):
            names |= {
                name: None for name, score in SCORES.items() if word == ALL or not score.builds
            }
        elif word == TRAIN:
            raise ScoreError(
                f"{TRAIN} is what the other scores are measured by; leave it out of --score"
            )
        else:
            find_score(word)
            names[word] = None
    return tuple(names)


def begin_sample(
    space: Space, budgets: tuple[Budget, ...], networks: int, protocol: Protocol, wish: Wish
) -> tuple[CalibrationFolder, str]:
    """Networks drawn from a space, to be trained here; and why there are fewer, else nothing."""
    asked = replace(
        _asked("sample", space.name, wish),
        space=space.name,
        space_text=space.dump(),
        budgets=budgets,
        networks=networks,
        protocol=protocol,
        versions=versions_here(training=True),
    )
    device = Trainer(asked).check()
    check_scores(asked)
    asked = replace(asked, device=device)
    drawn = sample(space, budgets, networks, wish.seed)
    stem = "-".join([space.name, *(str(budget).replace(" ", "") for budget in budgets)])
    return _created(asked, stem, drawn.candidates, wish.out), drawn.note


def begin_table(
    table: Path,
    space: Space | None,
    columns: TableColumns,
    bands: tuple[Band, ...],
    limit: int | None,
    check_counts: bool,
    wish: Wish,
) -> CalibrationFolder:
    """Networks of a table, whose accuracies it tells; limit: so many a band, drawn by the seed."""
    candidates = table_candidates(table, space, columns, bands, limit, wish.seed, check_counts)
    asked = replace(
        _asked("table", table.stem, wish),
        space=None if space is None else space.name,
        space_text=None if space is None else space.dump(),
        table=str(table),
        columns={key: name for key, name in columns._asdict().items() if name},
        bands=bands,
        limit=limit,
    )
    asked = replace(asked, device=check_scores(asked))
    return _created(asked, table.stem, candidates, wish.out)


def begin_zoo(wish: Wish) -> CalibrationFolder:
    """The shipped networks, whose accuracies are published."""
    asked = _asked("zoo", "zoo", wish)
    asked = replace(asked, device=check_scores(asked))
    return _created(asked, "zoo", zoo_candidates(), wish.out)


def _asked(kind: str, name: str, wish: Wish) -> CalibrationAsked:
    return CalibrationAsked(
        kind=kind,  # type: ignore[arg-type]
        name=name,
        scores=wish.scores,
        data=wish.data,
        batch=wish.batch,
        seed=wish.seed,
        device=wish.device or "text",
        command=wish.command,
        created=now(),
        versions=versions_here(training=False),
    )


def _created(
    asked: CalibrationAsked, stem: str, candidates: Sequence[Candidate], out: Path | None
) -> CalibrationFolder:
    if len(candidates) < LEAST:
        raise RunError(
            f"a rank correlation needs {LEAST} networks and more, but {asked.name} gave "
            f"{len(candidates)}"
        )
    path = out or free_folder(f"calibrate-{stem}")
    return CalibrationFolder.create(path, asked, candidates)


def ask_more(
    folder: CalibrationFolder, scores: Sequence[str], seeds: int | None, networks: int | None
) -> str:
    """Ask a calibration for other scores, more seeds or more networks; what is there stays.

    Returns why there are fewer networks than wanted, else nothing. Raises RunError where less is
    asked for than is there, or what its kind does not have.
    """
    asked = folder.asked
    for word, wanted, known in (
        ("seeds", seeds, asked.seeds),
        ("networks", networks, asked.networks or 0),
    ):
        if wanted is None:
            continue
        if asked.kind != "sample":
            raise RunError(
                f"--{word} is of a sample that is trained here, but {folder.path} is of "
                f"{'a table' if asked.kind == 'table' else 'published networks'}; leave it out"
            )
        if wanted < known:
            raise RunError(
                f"{folder.path} has {several(known, word[:-1])} asked for already, and --{word} "
                f"{wanted} is fewer; what is trained stays"
            )
    with locked(folder.path):
        # another process may have asked for more meanwhile
        asked = CalibrationFolder.open(folder.path).asked
        wished = replace(
            asked,
            scores=tuple(dict.fromkeys([*asked.scores, *scores])),
            networks=networks or asked.networks,
            protocol=asked.protocol and replace(asked.protocol, seeds=seeds or asked.seeds),
        )
        if wished.scores != asked.scores:
            device = check_scores(wished)
            wished = replace(wished, device=device if asked.device == "text" else asked.device)
        more = Sample((), "")
        if wished.networks != asked.networks:
            assert asked.space_text is not None
            assert wished.networks is not None
            space = Space.parse(asked.space_text, str(asked.space))
            more = sample(space, asked.budgets, wished.networks, asked.seed)
        if wished != asked:
            folder.ask_for(wished, more.candidates[len(folder.networks) :])
    return more.note


__all__ = [
    "ALL",
    "TEXT",
    "Wish",
    "ask_more",
    "begin_sample",
    "begin_table",
    "begin_zoo",
    "score_names",
]
