"""Draws seconds and memory against events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .records import Figures


def draw(figures: Sequence[Figures], names: Sequence[str], path: Path) -> None:
    """Write an SVG with a line for each of the contenders in `names`."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only needed for a growth curve
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import EngFormatter, NullFormatter  # noqa: PLC0415

    # text stays text, and the same figures give the same file
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9})
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for name in names:
        own = [one for one in figures if one.contender == name and one.runs]
        events = [one.events for one in own]
        (line,) = seconds.plot(events, [one.seconds for one in own], marker="o", ms=3, label=name)
        memory.plot(
            events, [one.peak_bytes / 1e6 for one in own], marker="o", ms=3, color=line.get_color()
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
