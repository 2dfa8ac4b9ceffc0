"""Which scores there are, each declared once: what it is, what it asks for, how it goes wrong.

A score that is read off the text has `read`; one that builds the network has `measure`, the
function that takes a Probe, by the name of its module, so that torch waits until one is asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

from archspec.cost import Totals, totals
from archspec.errors import ScoreError, did_you_mean
from archspec.plan import NetworkPlan
from search.scores.concave import concave_activations
from search.scores.deepmad import deepmad_effectiveness, deepmad_entropy
from search.scores.score import Read, Score

#: what it takes to score a network that is read off the text
TEXT = "text alone"


def _log2(read: Callable[[Totals], int]) -> Read:
    def taken(plan: NetworkPlan) -> float:
        count = read(totals(plan))
        return math.log2(count) if count > 0 else -math.inf

    return taken


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            "activations",
            "log2 activations",
            "Radosavovic et al., arXiv 2003.13678, section 3.3",
            TEXT,
            "it is what a network pays in memory traffic and latency: at equal FLOPs it buys both",
            _log2(lambda total: total.activations),
        ),
        Score(
            "depth",
            "log2 depth",
            "weighted layers on the longest path, attention's products included",
            TEXT,
            "no ceiling: a thin and endless network wins",
            _log2(lambda total: total.depth),
        ),
        Score(
            "params",
            "log2 params",
            "trainable parameters",
            TEXT,
            "at equal FLOPs more parameters mean late, small maps: it often ranks the wrong way",
            _log2(lambda total: total.params),
        ),
        Score(
            "flops",
            "log2 FLOPs",
            "multiply-adds of convolutions, linear layers and matrix products",
            TEXT,
            "at equal FLOPs it says nothing",
            _log2(lambda total: total.flops),
        ),
        Score(
            "traffic",
            "log2 memory traffic",
            "bytes read and written by all layers, each tensor once",
            TEXT,
            "mixes activations, which help at equal FLOPs, with parameters, which may not",
            _log2(lambda total: total.traffic),
        ),
        Score(
            "concave_activations",
            "log2 sum of activations^(2/3)",
            "archspec: docs/scores.md; it needs nothing but the text",
            TEXT,
            "blind to wiring: shortcuts, gates and dead branches do not change it",
            concave_activations,
        ),
        Score(
            "concave_naswot",
            "NASWOT an image, layers by units^(2/3)",
            "archspec: docs/scores.md; the kernel of Mellor et al., arXiv 2006.04647, section 3",
            "1 forward",
            "knows no training: what converges badly may have diverse codes at the start",
            measure="search.scores.concave_naswot:concave_naswot",
        ),
        Score(
            "naswot",
            "NASWOT an image",
            "Mellor et al., arXiv 2006.04647, section 3",
            "1 forward",
            "follows the count of units behind nonlinearities; blind to depth and to linear layers",
            measure="search.scores.naswot:naswot",
        ),
        Score(
            "synflow",
            "log SynFlow",
            "Tanaka et al., arXiv 2006.05467, section 5",
            "1 forward, 1 backward, one image in double precision",
            "grows with depth and width alike: at equal FLOPs it says little; no data, no norms",
            measure="search.scores.synflow:synflow",
        ),
        Score(
            "zen",
            "Zen-score",
            "Lin et al., arXiv 2102.01063, algorithm 1",
            "2 forwards",
            "a sum over layers of log fan-in: prefers many wide, late layers; blind to shortcuts",
            measure="search.scores.zen:zen",
        ),
        Score(
            "grad_norm",
            "log gradient norm",
            "Abdelfattah et al., arXiv 2101.08134, section 3.1",
            "1 forward, 1 backward",
            "follows how gradients are scaled at the start: batch norms on tiny late maps raise it",
            measure="search.scores.gradients:grad_norm",
        ),
        Score(
            "snip",
            "log SNIP",
            "Lee et al., arXiv 1810.02340, equation 5",
            "1 forward, 1 backward",
            "made to rank weights of one network; between networks it follows the gradient norm",
            measure="search.scores.gradients:snip",
        ),
        Score(
            "grasp",
            "GraSP",
            "Wang et al., arXiv 2002.07376, equation 8, sign of arXiv 2101.08134",
            "1 forward, 1 backward, 1 backward through that",
            "of either sign, with heavy tails: seed and batch change it more than the network does",
            measure="search.scores.grasp:grasp",
        ),
        Score(
            "fisher",
            "log Fisher",
            "Turner et al., arXiv 1906.04113, equation 2",
            "1 forward, 1 backward",
            "squares the scale of gradients at the start: batch norms on tiny late maps raise it",
            measure="search.scores.gradients:fisher",
        ),
        Score(
            "jacob_cov",
            "Jacobian covariance",
            "Mellor et al., arXiv 2006.04647 version 1, equation 3",
            "1 forward, 1 backward to the input",
            "its best is -1 an image, and most networks nearly reach it; two like images cost 1e5",
            measure="search.scores.jacobian:jacob_cov",
        ),
        Score(
            "zico",
            "ZiCo",
            "Li et al., arXiv 2301.11300, equation 15",
            "1 forward, 1 backward, in two halves of the batch",
            "a sum over layers: follows their number, and so params and depth; noisy on few images",
            measure="search.scores.zico:zico",
        ),
        Score(
            "az_expressivity",
            "AZ-NAS expressivity",
            "Lee and Ham, arXiv 2403.19232, section 3.2",
            "1 forward",
            "a sum over blocks: follows their number and width",
            measure="search.scores.az:az_expressivity",
        ),
        Score(
            "az_progressivity",
            "AZ-NAS progressivity",
            "Lee and Ham, arXiv 2403.19232, section 3.2",
            "1 forward",
            "the worst of all blocks: one narrow block decides, and more blocks never help",
            measure="search.scores.az:az_progressivity",
        ),
        Score(
            "az_trainability",
            "AZ-NAS trainability",
            "Lee and Ham, arXiv 2403.19232, section 3.2",
            "1 forward, 1 backward",
            "a mean of one draw a block: on tiny late maps with few images it is mostly noise",
            measure="search.scores.az:az_trainability",
        ),
        Score(
            "az_complexity",
            "AZ-NAS complexity: log2 FLOPs",
            "Lee and Ham, arXiv 2403.19232, section 3.2",
            TEXT,
            "at equal FLOPs it says nothing",
            _log2(lambda total: total.flops),
        ),
        Score(
            "az_nas",
            "AZ-NAS",
            "Lee and Ham, arXiv 2403.19232, section 3.3; ranks by stated constants",
            "1 forward, 1 backward",
            "far from the budget of its constants a part is all high or all low and says no more",
            measure="search.scores.az:az_nas",
        ),
        Score(
            "deepmad_entropy",
            "DeepMAD entropy",
            "Shen et al., arXiv 2303.02165, section 4",
            TEXT,
            "made for plain convolutions; has no ceiling in depth unless effectiveness is bounded",
            deepmad_entropy,
        ),
        Score(
            "deepmad_effectiveness",
            "DeepMAD effectiveness: -log(depth / width)",
            "Shen et al., arXiv 2303.02165, section 3",
            TEXT,
            "a bound in the paper, no goal: the best network has a single, endlessly wide layer",
            deepmad_effectiveness,
        ),
    )
}
#: what a search asks where no score is named, and the same of those that read the text alone
DEFAULT = "concave_naswot"
DEFAULT_TEXT = "concave_activations"
#: the score that is no part of a sum: networks are trained (search/scores/training.py)
TRAIN = "train"
#: what a score that is looked up is called: this, then the file of a table (search/scores/table.py)
TABLE = "table:"
#: a score of a person's own, `module:function`
_OWN = re.compile(r"\w+(\.\w+)*:\w+")


def table_file(name: str) -> Path:
    """The file of a score `table:FILE`, which need not be there; raises ScoreError where it names
    none, or adds another score to it."""
    file = name.removeprefix(TABLE)
    if not file.strip():
        raise ScoreError(
            f"{TABLE} needs a file of trained networks (.csv, .parquet or .json), such as "
            f"{TABLE}results.csv"
        )
    # files may have a + in their names
    if any(word in SCORES or word == TRAIN or _OWN.fullmatch(word) for word in file.split("+")[1:]):
        raise _not_alone(name)
    if f"+{TABLE}" in file:
        raise _not_alone(name)
    return Path(file)


def at_home(name: str) -> str:
    """A score that is found from any folder, for a run may be resumed from another one: the file
    of a table is named in full. Raises ScoreError where `table:` names none."""
    return TABLE + str(table_file(name).resolve()) if name.startswith(TABLE) else name


def find_score(name: str, table: str | None = None, space: str | None = None) -> tuple[Score, ...]:
    """The parts of a score by name; raises ScoreError with the legal names.

    A part is a name, or `module:function` for a person's own. `table:FILE` stands alone; `table` is
    then the text of the space in whose picks the file names its networks, `space` what it is
    called.
    """
    if name.startswith(TABLE):
        # pandas waits until a table is asked for
        from search.scores.table import table_score

        return (table_score(name, table, space),)
    names = name.split("+")
    if any(word.startswith(TABLE) for word in names):
        raise _not_alone(name)
    if TRAIN in names:
        raise ScoreError(
            f"{TRAIN} stands alone, for it is an accuracy in percent, but got {name!r}; give "
            f"{TRAIN}, or the others without it"
        )
    if len(set(names)) < len(names):
        raise ScoreError(f"a score is named twice in {name!r}")
    return tuple(_own(word) if ":" in word else _shipped(word, name) for word in names)


def _not_alone(name: str) -> ScoreError:
    return ScoreError(
        f"{TABLE}FILE stands alone, for it is an accuracy in percent, but got {name!r}; give one "
        "or the other"
    )


def _shipped(word: str, name: str) -> Score:
    if word not in SCORES:
        legal = did_you_mean(word, [*SCORES, TRAIN])
        raise ScoreError(
            f"no score is called {word!r}: {legal}; join several by +, or give module:function"
        )
    return SCORES[word]


def _own(word: str) -> Score:
    return Score(word, word, "a function of your own", "its own", "", measure=word)
