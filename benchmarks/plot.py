"""Plots time and memory against the number of events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .records import Figures


def draw(figures: Sequence[Figures], names: Sequence[str], path: Path) -> None:
    """Write an SVG with a line per contender in `names`."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and rarely needed
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import EngFormatter, NullFormatter  # noqa: PLC0415

    # text as text, not as paths; fixed ids, so that the same figures give the same file
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9})
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for name in names:
        rows = [row for row in figures if row.contender == name and row.runs]
        events = [row.events for row in rows]
        (line,) = seconds.plot(events, [row.seconds for row in rows], marker="o", ms=3, label=name)
        memory.plot(
            events, [row.peak_bytes / 1e6 for row in rows], marker="o", ms=3, color=line.get_color()
        )
    for axes, title in ((seconds, "seconds"), (memory, "peak memory, MB")):
        axes.set(title=title, xlabel="events", xscale="log")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    seconds.set(yscale="log")
    seconds.yaxis.set_major_formatter("{x:g}")
    seconds.yaxis.set_minor_formatter(NullFormatter())
    memory.set(ylim=(0, None))
    figure.legend(loc="outside lower center", ncols=len(names), frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})
