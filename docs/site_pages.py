"""Hooks of MkDocs: pages of the site that are made from files outside docs/.

README.md becomes the front page, its section on settings a page of its own, and CHANGELOG.md and
the README of the benchmarks a page each. Links between them are rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parents[1]
OUTSIDE: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""File, relative to the root of the repository -> page of the site."""
SETTINGS: Final = "settings.md"
_LINK: Final = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages that mkdocs.yml does not list, so that none is missing from the site."""
    listed = {*_pages(config.nav or [])}
    more = [path.name for path in sorted(Path(config.docs_dir).glob("*.md"))]
    if unlisted := [name for name in more if name not in listed]:
        config.nav = [*(config.nav or []), {"More": unlisted}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages made from files outside docs/."""
    for path, page in OUTSIDE.items():
        text = moved((ROOT / path).read_text(encoding="utf-8"), path)
        files.append(File.generated(config, page, content=text))
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
            if files.get_file_from_path(picture) is None:
                content = (ROOT / picture).read_bytes()
                files.append(File.generated(config, picture, content=content))
    settings = settings_page((ROOT / "README.md").read_text(encoding="utf-8"))
    files.append(File.generated(config, SETTINGS, content=settings))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:  # noqa: ANN401 - of MkDocs
    """Rewrite links of pages in docs/ to files outside of it."""
    path = page.file.src_uri
    return markdown if path in {*OUTSIDE.values(), SETTINGS} else moved(markdown, f"docs/{path}")


def moved(text: str, path: str) -> str:
    """A page with links as the site needs them.

    Args:
        text: Markdown.
        path: of the file it is from, relative to the root of the repository.
    """

    def rewrite(link: re.Match[str]) -> str:
        target = (ROOT / path).parent.joinpath(link[2]).resolve().relative_to(ROOT).as_posix()
        return link[1] + OUTSIDE.get(target, target.removeprefix("docs/"))

    return _LINK.sub(rewrite, text)


def settings_page(readme: str) -> str:
    """The section of the README on settings, whose lists are generated from the code."""
    section = readme.partition("\n## Settings\n")[2].partition("\n## ")[0]
    return "# Settings\n" + moved(section, "README.md")


def _pages(nav: Iterable[Any]) -> Iterable[str]:
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from [value] if isinstance(value, str) else _pages(value)
