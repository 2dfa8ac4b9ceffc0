"""The command `search`: what is asked of it, checked before anything is written."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archspec.cli.workers import GPUS_HELP, RAY_HELP, WORKERS, WORKERS_HELP

if TYPE_CHECKING:
    from search.budgets import Budget
    from search.folder import RunInfo, Scaling
    from search.rule_space import RuleSpace
    from search.space import Space

app = typer.Typer()

#: heading of the options of `--score train`
TRAINING = "Training as the score"
#: and of those of a search of scaling rules
SCALING = "Searching scaling rules"
#: of latency and throughput, where a budget or an objective asks for them
MEASURING = "Measuring"
#: what is searched where nothing is named
DEFAULT_SPACE = "hybrid"
#: scored trials, and those of the random baseline, save of a grid
TRIALS, RANDOM = 48, 16
#: a base that is more of the budget leaves scaling rules little to differ by
ROOM = 2 / 3
#: images that an untrained score sees
BATCH = 16


@app.command()
def search(
    space: Annotated[
        str | None,
        typer.Argument(help="A text with domains, or a shipped space.", show_default=DEFAULT_SPACE),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            help="A ceiling for one image: 4.5GFLOPs (multiply-adds), 30Mparams, "
            "20Mactivations, 400MB of traffic; or measured: 5ms@cuda, 200images/s@cpu. May be "
            "given several times."
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_000_000,
            help="Trials that are scored, or pruned.",
            show_default=f"{TRIALS}, or the whole grid",
        ),
    ] = None,
    random: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1_000_000,
            help="The same of the random baseline.",
            show_default=f"{RANDOM}, or none beside a grid",
        ),
    ] = None,
    shipped: Annotated[
        bool | None,
        typer.Option(
            help="Score the shipped networks within the budget, or the published rules, too.",
            show_default="yes, unless they are trained",
        ),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="What to trade off, one to three of score, flops, params, activations, traffic, "
            "latency, throughput. May be given several times.",
            show_default="score and the first budget's quantity",
        ),
    ] = None,
    latency_batch: Annotated[
        int | None,
        typer.Option(
            min=1, help="Images of a timed pass.", show_default="1", rich_help_panel=MEASURING
        ),
    ] = None,
    throughput_batch: Annotated[
        int | None,
        typer.Option(
            min=1, help="The same for throughput.", show_default="64", rich_help_panel=MEASURING
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="fp32, fp16 or bf16.", show_default="fp32", rich_help_panel=MEASURING),
    ] = None,
    channels_last: Annotated[
        bool | None,
        typer.Option(help="Lay images out so.", show_default="no", rich_help_panel=MEASURING),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(help="Passes that are timed.", show_default="20", rich_help_panel=MEASURING),
    ] = None,
    iso: Annotated[
        bool,
        typer.Option(
            "--iso",
            help="Land every candidate at the ceiling, not below it; below what is measured.",
        ),
    ] = False,
    score: Annotated[
        str | None,
        typer.Option(
            help="A score (`archspec scores` lists them), several joined by +, module:function "
            "of your own, or train.",
            show_default="concave_naswot",
        ),
    ] = None,
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="SENTENCE",
            help="In place of --score and --trials: rungs of ever fewer networks by ever dearer "
            'scores, such as "10,000 by concave_activations, 200 by concave_naswot, 20 by train '
            'for 3 epochs"; a file, or a shipped ladder.',
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="Images for the score: a parquet file or folder, an image folder, or `digits`."
        ),
    ] = "digits",
    batch: Annotated[
        int | None,
        typer.Option(min=2, max=4096, help="Images that the score sees.", show_default="16"),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="guided, tpe, nsga2, gp, cmaes, qmc, random or grid.",
            show_default="guided; nsga2 where a ladder begins with more than 1,000",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1)] = 0,
    device: Annotated[
        str | None, typer.Option(help="cuda, mps or cpu.", show_default="the best at hand")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder.", show_default="runs/SPACE-BUDGET, numbered"),
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change the space before the search."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all trials as one JSON list, and nothing else.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help=WORKERS_HELP, rich_help_panel=WORKERS)] = None,
    ray: Annotated[str | None, typer.Option(help=RAY_HELP, rich_help_panel=WORKERS)] = None,
    gpus_each: Annotated[
        float | None, typer.Option(help=GPUS_HELP, rich_help_panel=WORKERS)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Keep the trials on PostgreSQL, postgresql://USER@HOST/DATABASE, where any number "
            "of machines may join in: `archspec join`.",
            rich_help_panel=WORKERS,
        ),
    ] = None,
    scaling: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Search how this network is best scaled to the budget.",
            rich_help_panel=SCALING,
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="A rule with domains: compound, each_stage, kernel, grid, grid_cmt, or its file.",
            show_default="compound",
            rich_help_panel=SCALING,
        ),
    ] = None,
    larger: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1_000_000,
            help="So many of the rules are scored at twice the budget, too.",
            show_default="16",
            rich_help_panel=SCALING,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="A recipe, or its file.", show_default="quick", rich_help_panel=TRAINING),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000,
            help="To so many the recipe is scaled.",
            show_default="the recipe's",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Equal time a network and seed, in place of epochs.", rich_help_panel=TRAINING
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Trainings a network; the score is their mean.",
            show_default="1",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="So many training images, of each class alike.",
            show_default="all",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    holdout: Annotated[
        float | None,
        typer.Option(
            help="The share of the training images that networks are judged by; the test split is "
            "never seen.",
            show_default="0.1",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    slowest: Annotated[
        float | None,
        typer.Option(
            help="Give a network up whose training would take more seconds.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    prune: Annotated[
        bool | None,
        typer.Option(
            help="Stop trainings early that are behind.",
            show_default="yes",
            rich_help_panel=TRAINING,
        ),
    ] = None,
) -> None:
    """Search a space under a budget, or with --scaling the rule that best scales a network to it.

    Leaves a run folder with the best specs and a page.
    """
    from archspec.cli.search_runs import go_on
    from archspec.errors import ScoreError
    from archspec.runs import free_folder, now
    from archspec.train.sources import DIGITS
    from search.budgets import budgets_of
    from search.folder import RunFolder, RunInfo, on_storage, versions_here
    from search.joining import refuse_taken
    from search.ladder import read_ladder
    from search.measuring import make_measuring
    from search.metrics import objectives_of
    from search.proposals import GUIDED, check_sampler
    from search.protocol import make_protocol, refuse_training_options
    from search.rule_space import RuleSpace
    from search.run import grid_of
    from search.rungs import MANY, MANY_SAMPLER, Defaults, RungInfo, asked_rungs, refuse_options
    from search.scores import DEFAULT, TRAIN, Scorer
    from search.scores.catalog import TABLE
    from search.workers import WorkersAsked, check_workers

    helpers = WorkersAsked(workers, ray, gpus_each, device)
    check_workers(helpers)
    budgets = budgets_of(budget or [])
    read, asked = _asked(space, scaling, rule, larger, edit or [])
    read.check()
    # where nothing is fitted, or rules are, no target is below the ceiling
    objectives = objectives_of(objective or [], budgets, iso or asked is not None)
    iso = iso or asked is not None or budgets[0].quantity not in objectives
    if ladder is not None:
        refuse_options(
            {
                "score": score,
                "trials": trials,
                "scaling": scaling,
                "epochs": epochs,
                "minutes": minutes,
                "seeds": seeds,
                "images": images,
                "prune": prune,
            }
        )
    rungs = None if ladder is None else read_ladder(ladder)
    many = rungs is not None and rungs.rungs[0].count > MANY
    sampler = sampler or (MANY_SAMPLER if many else GUIDED)
    check_sampler(sampler, objectives)
    measuring = make_measuring(
        budgets,
        objectives,
        device,
        latency_batch,
        throughput_batch,
        precision,
        channels_last,
        repeats,
    )
    grid = grid_of(read, sampler, iso)
    if data != DIGITS and os.path.exists(data):
        # a run may be resumed from another folder
        data = str(Path(data).resolve())
    # data and device are tried before anything is written
    where, training = "text", None
    above: tuple[RungInfo, ...] = ()
    if rungs is not None:
        defaults = Defaults(batch, recipe, holdout, slowest)
        first, *others = asked_rungs(rungs, defaults, data, seed, device)
        above, score, trials, batch = tuple(others), first.score, first.count, first.batch
        where, label, training = first.device, first.score_label, first.training
    elif score == TRAIN:
        if batch is not None:
            raise ScoreError("--batch is of untrained scores; a recipe has its own")
        training = make_protocol(recipe, epochs, seeds, minutes, holdout, images, slowest, prune)
        from search.scores.training import Training

        where = Training(training, data, device).check()
        label = training.label
    else:
        refuse_training_options(
            {
                "recipe": recipe,
                "epochs": epochs,
                "minutes": minutes,
                "seeds": seeds,
                "images": images,
                "holdout": holdout,
                "slowest": slowest,
                "prune": prune,
            }
        )
        if score is not None and score.startswith(TABLE):
            # a run may be resumed from another folder
            score = TABLE + str(Path(score.removeprefix(TABLE)).resolve())
        table = read.dump()
        scorer = Scorer(score or DEFAULT, data, batch or BATCH, seed, device, table=table)
        where, label = scorer.check(), scorer.label
    info = RunInfo(
        space=read.name,
        space_text=read.dump(),
        command="archspec " + shlex.join(sys.argv[1:]),
        budgets=budgets,
        iso=iso,
        seed=seed,
        sampler=sampler,
        score=score or DEFAULT,
        score_label=label,
        data=data,
        batch=batch or BATCH,
        device=where,
        trials=min(trials or len(grid), len(grid)) if grid else trials or TRIALS,
        random_trials=(0 if grid else RANDOM) if random is None else random,
        shipped=training is None if shipped is None else shipped,
        versions=versions_here(any(rung.training for rung in above) or training is not None),
        created=now(),
        training=training,
        scaling=asked,
        objectives=objectives,
        measuring=measuring,
        ladder=above,
    )
    if asked is not None and isinstance(read, RuleSpace):
        _tell_room(read, info)
    path = out or free_folder(_stem(read.name, budgets))
    if storage is not None:
        info = on_storage(info, storage, path.name)
        refuse_taken(info)
    folder = RunFolder.create(path, info)
    go_on(folder, as_json, helpers)


def _tell_room(space: RuleSpace, info: RunInfo) -> None:
    """Say so where a budget leaves rules next to nothing to differ by, or is below the base.

    Raises RunError where there is none that a rule can be solved for.
    """
    from archspec.cost import totals
    from archspec.errors import RunError
    from archspec.fit import used_share
    from archspec.planning import plan_network
    from archspec.quantities import Quantity, format_quantity

    total = totals(plan_network(space.base))
    if not info.limits:
        measured = " and ".join(budget.exact for budget in info.budgets)
        twice = format_quantity(Quantity(2.0 * total.flops, "flops")).replace(" ", "")
        raise RunError(
            f"a rule grows {space.base.name} to what the text tells, but {measured} is measured; "
            f"give a ceiling beside it, such as --budget {twice}"
        )
    share = used_share(total, info.limits)
    if share > ROOM:
        typer.echo(
            f"note: {space.base.name} itself is {share:.0%} of the budget; rules differ where a "
            "network grows by half or more",
            err=True,
        )


def _asked(
    space: str | None,
    scaling: str | None,
    rule: str | None,
    larger: int | None,
    edit: list[str],
) -> tuple[Space | RuleSpace, Scaling | None]:
    """The space of networks, or of rules, and in that case what is asked of them."""
    from archspec.cli.specs import edit_of
    from archspec.errors import RunError
    from search.folder import Scaling
    from search.larger import LARGER
    from search.rule_space import RuleSpace
    from search.rule_text import DEFAULT_RULES
    from search.space import Space

    edits = tuple(edit_of(text) for text in edit)
    if scaling is None:
        for option, given in (("--rule", rule), ("--larger", larger)):
            if given is not None:
                raise RunError(
                    f"{option} is of a search of rules; name the network that they scale, too: "
                    "--scaling SPEC"
                )
        return Space.read(space or DEFAULT_SPACE, edits), None
    if space is not None:
        raise RunError(
            f"a search is of a space, {space}, or of rules that scale a network, --scaling "
            f"{scaling}; leave one out"
        )
    read = RuleSpace.read(scaling, rule or DEFAULT_RULES, edits)
    larger = LARGER if larger is None else larger
    return read, Scaling(read.base.name, read.rules.name, scaling, larger)


def _stem(space: str, budgets: tuple[Budget, ...]) -> str:
    """What a run is called, such as hybrid-4.5GFLOPs."""
    return "-".join([space, *(budget.stem for budget in budgets)])
