"""A roadmap that is trained: begun, gone on with, and shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from archspec.errors import RunError, SpecError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from archspec.roadmap.folder import RoadmapRecord
    from archspec.roadmap.steps import PlannedStep
    from archspec.roadmap.text import Roadmap
    from archspec.study.folder import StudyFolder
    from archspec.study.prepare import StudyWish
    from archspec.study.text import Study


def begin(
    text: Roadmap,
    planned: Sequence[PlannedStep],
    wish: StudyWish,
    steps: str | None,
    small: bool | int | None,
    out: Path | None,
) -> StudyFolder:
    """The run folder of a training: a study's, with the roadmap in it.

    steps: numbers or names of the rows to train, with commas between; None is all. small: as a
    study's; None leaves it to the data. Raises SpecError, DataError, TrainError or RunError.
    """
    from archspec.roadmap.folder import RoadmapRecord, keep
    from archspec.roadmap.steps import told_as_rows
    from archspec.study.prepare import begin_study

    study = text.study(recipe_given=wish.recipe is not None)
    if small is not None:
        study = study.model_copy(update={"small": small})
    if steps is not None:
        wish = replace(wish, arms=_picked(steps, planned, study))
    with told_as_rows(text, study):
        folder = begin_study(study, wish, out)
    gone = [name for name in text.names if name not in study.names]
    if gone and steps is None:
        typer.echo(f"note: --recipe leaves nothing of {', '.join(gone)}: not trained", err=True)
    keep(folder.path, text, RoadmapRecord.of(text, planned))
    return folder


def _picked(steps: str, planned: Sequence[PlannedStep], study: Study) -> tuple[str, ...]:
    """Names of the rows to train, in the roadmap's order."""
    from archspec.roadmap.steps import find_step

    names = set()
    for called in steps.split(","):
        row = find_step(planned, called.strip())
        if row.kind == "reference":
            raise SpecError(f"--steps: {row.name} is a reference, which is never trained")
        if row.name not in study.names:
            raise SpecError(
                f"--steps: {row.name} only names a recipe, in whose place --recipe stands; "
                f"{did_you_mean(row.name, study.names)}"
            )
        names.add(row.name)
    return tuple(row.name for row in planned if row.name in names)


def go_on(
    run: Path,
    asked: dict[str, object],
    seeds: int | None,
    device: str | None,
    retry: bool,
    as_json: bool,
) -> None:
    """Go on with a run; asked: the options that were given, of which few go with one."""
    from archspec.cli.study import with_seeds
    from archspec.roadmap.folder import RoadmapRecord
    from archspec.study.folder import StudyFolder

    RoadmapRecord.open(run)
    if asked.keys() - {"--seeds", "--device", "--retry"}:
        raise RunError(
            f"{run} says what was asked; only --seeds, --device, --retry and --json go with it"
        )
    train_rows(with_seeds(StudyFolder.open(run), seeds), device, retry, as_json)


def resume_roadmap(run: Path, as_json: bool) -> None:
    """Go on with a run that was stopped or killed."""
    from archspec.cli.study import tell_versions
    from archspec.study.folder import StudyFolder

    folder = StudyFolder.open(run)
    tell_versions(folder)
    train_rows(folder, None, False, as_json)


def report_roadmap(run: Path) -> None:
    """Write the page of a run again, finished or not."""
    from archspec.study.folder import StudyFolder

    _finish(StudyFolder.open(run), False)


def train_rows(folder: StudyFolder, device: str | None, retry: bool, as_json: bool) -> None:
    """Train what is not trained yet, and show all."""
    from archspec.cli.study import run_arms

    for name, other in _alike(folder):
        typer.echo(f"note: {name} is trained like {other}: in this form they are one", err=True)
    run_arms(folder, "roadmap", device, retry, as_json)
    _finish(folder, as_json)


def _alike(folder: StudyFolder) -> list[tuple[str, str]]:
    """Rows whose step changes nothing of what is trained, as in small-image form a stem's may."""
    from archspec.diff import differences

    arms = {arm.name: arm for arm in folder.arms()}
    study = folder.study
    ran = study.model_copy(update={"arms": tuple(arm for arm in study.arms if arm.name in arms)})
    return [
        (name, base)
        for name, base in ran.baselines().items()
        if base is not None
        and arms[name].recipe == arms[base].recipe
        and not differences(arms[name].spec, arms[base].spec)
    ]


def _finish(folder: StudyFolder, as_json: bool) -> None:
    import pandas as pd

    from archspec.cli.roadmap_tables import print_trained
    from archspec.cli.tables import print_json
    from archspec.roadmap.folder import RoadmapRecord, trained_frame
    from archspec.study.frame import frame, summary
    from reports.roadmap import write_roadmap_page

    record, asked = RoadmapRecord.open(folder.path), asdict(folder.asked)
    study = folder.study
    sums = summary(frame(folder.path), study)
    trained = trained_frame(folder, record)
    shown = ("command", "created", "versions", "data", "train_count", "classes", "side")
    info = {key: asked[key] for key in (*shown, "epochs", "seeds", "device")}
    info |= {"name": record.name, "doc": record.doc, "source": record.source}
    page = write_roadmap_page(info, pd.DataFrame(record.rows), trained, folder.path / "report.html")
    if as_json:
        print_json(_joined(record, trained, sums))
    else:
        print_trained(record.rows, trained, sums)
        typer.echo(f"page: {page}")
    if not trained["accuracies"].map(bool).any():
        raise typer.Exit(1)


def _joined(record: RoadmapRecord, trained: pd.DataFrame, sums: pd.DataFrame) -> list[Any]:
    """The rows, each with what its training reached; null where it was not trained."""
    reached = {}
    difference = ("baseline", "difference", "difference_low", "difference_high", "pairs")
    told = json.loads(trained.to_json(orient="records"))
    for row, against in zip(told, json.loads(sums.to_json(orient="records")), strict=True):
        own = {key: value for key, value in row.items() if key not in ("number", "name")}
        reached[row["name"]] = own | {key: against[key] for key in difference}
    return [row | {"trained": reached.get(row["name"])} for row in record.rows]
