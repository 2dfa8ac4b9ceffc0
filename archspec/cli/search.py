"""The command `search`: from its options to a run folder, in which the search then goes on."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from archspec.cli import search_options as options
from archspec.cli import workers as of_workers
from archspec.cli.search_options import RANDOM, TRIALS

if TYPE_CHECKING:
    from search.budgets import Budget

app = typer.Typer()


@app.command()
def search(
    space: options.SpaceText = None,
    budget: options.Budgets = None,
    trials: options.Trials = None,
    random: options.RandomTrials = None,
    shipped: options.Shipped = None,
    objective: options.Objectives = None,
    latency_batch: options.LatencyBatch = None,
    throughput_batch: options.ThroughputBatch = None,
    precision: options.Precision = None,
    channels_last: options.ChannelsLast = None,
    repeats: options.Repeats = None,
    iso: options.Iso = False,
    score: options.ScoreName = None,
    ladder: options.LadderText = None,
    data: options.Data = "digits",
    batch: options.Batch = None,
    sampler: options.Sampler = None,
    seed: options.Seed = 0,
    device: options.Device = None,
    out: options.Out = None,
    edit: options.Edits = None,
    as_json: options.AsJson = False,
    workers: of_workers.Workers = None,
    ray: of_workers.Ray = None,
    gpus_each: of_workers.GpusEach = None,
    storage: options.Storage = None,
    scaling: options.ScaledSpec = None,
    rule: options.RuleName = None,
    larger: options.Larger = None,
    recipe: options.Recipe = None,
    epochs: options.Epochs = None,
    minutes: options.Minutes = None,
    seeds: options.Seeds = None,
    images: options.Images = None,
    holdout: options.Holdout = None,
    slowest: options.Slowest = None,
    prune: options.Prune = None,
) -> None:
    """Search a space under a budget, or with --scaling the rule that best scales a network to it.

    Leaves a run folder with the best specs and a page.
    """
    from archspec.cli.scored import ScoreAsked, TrainingAsked, ladder_of, scored_by
    from archspec.cli.searched import aim_of, searched_of, tell_room
    from search.workers import WorkersAsked, check_workers

    helpers = WorkersAsked(workers, ray, gpus_each, device)
    check_workers(helpers)

    # what is at odds is told before anything slow is imported or read: first what the search is for
    training = TrainingAsked(recipe, epochs, minutes, seeds, images, holdout, slowest, prune)
    asked = ScoreAsked(score, trials, data, batch, seed, device, training)
    rungs = ladder_of(ladder, asked, scaling)
    aim = aim_of(budget or [], objective or [], iso, sampler, scaling is not None, rungs)

    # then what is searched, what is measured of it, and by what it is scored
    searched = searched_of(space, scaling, rule, larger, edit or [], aim)
    from search.measuring import make_measuring

    measuring = make_measuring(
        aim.budgets,
        aim.objectives,
        device,
        latency_batch,
        throughput_batch,
        precision,
        channels_last,
        repeats,
    )
    scored = scored_by(asked, rungs, searched.space)

    # nothing was written so far; what follows is what run.json holds
    from archspec.cli.search_runs import go_on
    from archspec.runs import free_folder, now
    from search.folder import RunFolder, RunInfo, on_storage, versions_here
    from search.joining import refuse_taken
    from search.rule_space import RuleSpace

    grid = searched.points
    trained = [scored.training, *(rung.training for rung in scored.ladder)]
    info = RunInfo(
        space=searched.space.name,
        space_text=searched.space.dump(),
        command="archspec " + shlex.join(sys.argv[1:]),
        budgets=aim.budgets,
        iso=aim.iso,
        seed=seed,
        sampler=aim.sampler,
        score=scored.score,
        score_label=scored.label,
        data=scored.data,
        batch=scored.batch,
        device=scored.device,
        trials=min(scored.trials or grid, grid) if grid else scored.trials or TRIALS,
        random_trials=(0 if grid else RANDOM) if random is None else random,
        shipped=scored.training is None if shipped is None else shipped,
        versions=versions_here(any(trained)),
        created=now(),
        training=scored.training,
        scaling=searched.scaling,
        objectives=aim.objectives,
        measuring=measuring,
        ladder=scored.ladder,
    )
    if isinstance(searched.space, RuleSpace):
        tell_room(searched.space, info)
    path = out or free_folder(_stem(info.space, info.budgets))
    if storage is not None:
        info = on_storage(info, storage, path.name)
        refuse_taken(info)
    go_on(RunFolder.create(path, info), as_json, helpers)


def _stem(space: str, budgets: tuple[Budget, ...]) -> str:
    """What a run is called, such as hybrid-4.5GFLOPs."""
    return "-".join([space, *(budget.stem for budget in budgets)])
