"""The pages for agents list the tools and pages that exist."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from mixpanel_source.mcp.dataset import Dataset
from mixpanel_source.mcp.server import build_server

DOCS = Path(__file__).parents[2] / "docs"


def test_tools_are_listed() -> None:
    """Each tool has a row, and there is no other row."""
    server = build_server(Dataset(), allow_sync=True)
    tools = {tool.name for tool in asyncio.run(server.list_tools())}
    section = (DOCS / "agents.md").read_text().split("## Tools\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == tools


def test_links_of_the_list_lead_somewhere() -> None:
    """`llms.txt` names every page for users, and each file exists."""
    links = re.findall(r"\]\(([^)]+)\)", (DOCS / "llms.txt").read_text())
    assert [link for link in links if not (DOCS / link).exists()] == []
    assert {path.name for path in DOCS.glob("*.md")} <= {*links}
