"""What the exam has to tell so far, in Markdown, on the terminal and in its folder."""

from __future__ import annotations

from archspec.quantities import several
from archspec.runs import write_whole
from archspec.study.folder import StudyFolder
from archspec.study.frame import frame
from exam_parts.families import FAMILIES
from exam_parts.parts import RECIPE, SPACE, Exam, counted
from exam_parts.table import FOUND, RANDOM, markdown, standings, words

#: what the rows of the table are
WHAT = {
    FOUND: f"the search of {SPACE}",
    RANDOM: f"random search of {SPACE}",
    **{family.name: f"{family.family}, {family.how}" for family in FAMILIES},
}


def report(exam: Exam) -> str:
    """The table, what it means and what the searches cost, written to table.md, too."""
    size, run = exam.asked.size, exam.out / "final"
    told = ["nothing is trained yet\n"]
    if (run / "study.json").exists():
        arms = standings(frame(run))
        told = [markdown(arms, WHAT, size.seeds), words(arms, size.seeds)]
        epochs, device = several(size.epochs, "epoch"), StudyFolder.open(run).asked.device
        told.append(f"Recipe {RECIPE}, {epochs}, on {device}; ± is the deviation over seeds.\n")
    told.append(costs(exam))
    text = "\n".join(told)
    write_whole(exam.out / "table.md", text)
    return text


def costs(exam: Exam) -> str:
    """Minutes and trials of both searches."""
    lines = []
    for part, name in (("search", "The search"), ("random", "Random search")):
        run = exam.out / part
        trials = counted(run) if (run / "run.json").exists() else "not begun"
        lines.append(f"- {name}: {exam.clock.seconds(part) / 60:.1f} minutes; {trials}.")
    return "\n".join(lines) + "\n"


__all__ = ["WHAT", "costs", "report"]
