"""The options of `search`, by what they are of; `resume` and `join` share some of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archspec.cli.workers import WORKERS

#: what is searched where nothing is named
DEFAULT_SPACE = "hybrid"
#: scored trials, and those of the random baseline, save of a grid
TRIALS, RANDOM = 48, 16

# The space, the budget and how many trials -------------------------------------------------------

SpaceText = Annotated[
    str | None,
    typer.Argument(
        metavar="SPACE",
        help="What is searched: a YAML file with domains in place of some values, or a shipped "
        "space.",
        show_default=DEFAULT_SPACE,
    ),
]
Budgets = Annotated[
    list[str] | None,
    typer.Option(
        help="A ceiling for one image: 4.5GFLOPs (multiply-adds), 30Mparams, "
        "20Mactivations, 400MB of traffic; or measured: 5ms@cuda, 200images/s@cpu. May be "
        "given several times."
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1_000_000,
        help="Go on until so many networks are scored; one whose training was stopped early "
        "counts, too.",
        show_default=f"{TRIALS}, or the whole grid",
    ),
]
RandomTrials = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=1_000_000,
        help="So many networks of the random baseline: picked by chance, to compare with.",
        show_default=f"{RANDOM}, or none beside a grid",
    ),
]
Shipped = Annotated[
    bool | None,
    typer.Option(
        help="Score shipped networks within the budget, too, to compare with; with --scaling the "
        "published rules.",
        show_default="yes, unless they are trained",
    ),
]
Objectives = Annotated[
    list[str] | None,
    typer.Option(
        help="What to trade off, one to three of score, flops, params, activations, traffic, "
        "latency, throughput. May be given several times.",
        show_default="score and the first budget's quantity",
    ),
]
Iso = Annotated[
    bool,
    typer.Option(
        "--iso",
        help="Bring every network up to the ceiling, so that the first budget's quantity is no "
        "objective; limits of what is measured are only kept to.",
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="Who proposes networks: guided, tpe, nsga2, gp, cmaes, qmc, random or grid.",
        show_default="guided; nsga2 where a ladder begins with more than 1,000",
    ),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**31 - 1, help="Of all chance; the same seed, the same search."),
]
Edits = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change the space before the search, as in stages.0.depth=2. May be given several "
        "times.",
    ),
]

# What is left, and what is printed ---------------------------------------------------------------

Out = Annotated[
    Path | None,
    typer.Option(help="The run folder, which is made.", show_default="runs/SPACE-BUDGET, numbered"),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print all trials as one JSON list, and nothing else.")
]

# The score ---------------------------------------------------------------------------------------

ScoreName = Annotated[
    str | None,
    typer.Option(
        help="A score (`archspec scores` lists them), several joined by +, module:function of your "
        "own, train, or table:FILE, a table of trained networks.",
        show_default="concave_naswot",
    ),
]
LadderText = Annotated[
    str | None,
    typer.Option(
        metavar="SENTENCE",
        help="In place of --score and --trials: rungs of ever fewer networks by ever dearer "
        'scores, such as "10,000 by concave_activations, 200 by concave_naswot, 20 by train '
        'for 3 epochs"; a file, or a shipped ladder.',
    ),
]
Data = Annotated[
    str,
    typer.Option(
        help="Images for the score: a parquet file or folder, an image folder, or `digits`."
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(min=2, max=4096, help="Images that an untrained score sees.", show_default="16"),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Where networks are built: cuda, mps or cpu.", show_default="the best at hand"
    ),
]

# Measuring: latency and throughput, where a budget or an objective asks for them -----------------

MEASURING = "Measuring"

LatencyBatch = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Images of a pass that is timed for latency.",
        show_default="1",
        rich_help_panel=MEASURING,
    ),
]
ThroughputBatch = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Images of a pass that is timed for throughput.",
        show_default="64",
        rich_help_panel=MEASURING,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="Of a timed pass: fp32, fp16 or bf16.", show_default="fp32", rich_help_panel=MEASURING
    ),
]
ChannelsLast = Annotated[
    bool | None,
    typer.Option(
        help="Time networks with images in the memory layout NHWC.",
        show_default="no",
        rich_help_panel=MEASURING,
    ),
]
Repeats = Annotated[
    int | None,
    typer.Option(
        help="Passes that are timed for each network; the median counts.",
        show_default="20",
        rich_help_panel=MEASURING,
    ),
]

# Workers: those that `resume` and `join` have, too, are in archspec/cli/workers.py ----------------

Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Keep the trials on PostgreSQL, postgresql://USER@HOST/DATABASE, where any number "
        "of machines may join in: `archspec join`.",
        rich_help_panel=WORKERS,
    ),
]

# Scaling: a search of the rules that scale one network -------------------------------------------

SCALING = "Searching scaling rules"

ScaledSpec = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="In place of a space: search how this network is best scaled to the budget.",
        rich_help_panel=SCALING,
    ),
]
RuleName = Annotated[
    str | None,
    typer.Option(
        help="The rule whose constants are searched: compound, each_stage, kernel, grid, "
        "grid_cmt, or a file.",
        show_default="compound",
        rich_help_panel=SCALING,
    ),
]
Larger = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=1_000_000,
        help="Score so many of the rules at twice the budget, too.",
        show_default="16",
        rich_help_panel=SCALING,
    ),
]

# Training: what `--score train` does with each network -------------------------------------------

TRAINING = "Training as the score"

Recipe = Annotated[
    str | None,
    typer.Option(
        help="How networks are trained: a shipped recipe, or a file.",
        show_default="quick",
        rich_help_panel=TRAINING,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100_000,
        help="Epochs of a training; the recipe is scaled to them.",
        show_default="the recipe's",
        rich_help_panel=TRAINING,
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        help="In place of epochs, minutes of each training, the same for all networks.",
        rich_help_panel=TRAINING,
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100,
        help="Trainings of each network; the score is their mean.",
        show_default="1",
        rich_help_panel=TRAINING,
    ),
]
Images = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Train on so many images only, of each class alike.",
        show_default="all",
        rich_help_panel=TRAINING,
    ),
]
Holdout = Annotated[
    float | None,
    typer.Option(
        help="The share of the training images that networks are judged by; the test split is "
        "never seen.",
        show_default="0.1",
        rich_help_panel=TRAINING,
    ),
]
Slowest = Annotated[
    float | None,
    typer.Option(
        help="Seconds; a network whose training would take longer is given up.",
        rich_help_panel=TRAINING,
    ),
]
Prune = Annotated[
    bool | None,
    typer.Option(
        help="Stop trainings early that fall behind the others.",
        show_default="yes",
        rich_help_panel=TRAINING,
    ),
]
