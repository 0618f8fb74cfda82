"""A page that links several reports with their figures: of the categories of a run, or of a comparison."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Union
from urllib.parse import quote

from anomaly.run.files import write_text
from anomaly.show.report import page
from anomaly.show.report.page import text


class Link(NamedTuple):
    title: str
    folder: Path  # whose report it leads to, if there is one


class Figure(NamedTuple):
    caption: str
    jpeg: bytes


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Union[str, Link]]]  # a row may be shorter than the columns: its last cell goes to the end
    notes: Sequence[str] = ()  # below it
    warnings: Sequence[str] = ()  # above it
    figures: Sequence[Figure] = ()  # below the notes


def write(path: Path, title: str, *, contents: Sequence[Table], about: str = "") -> None:
    """The page at `path`; the links are relative to where it lies."""
    parts = [f"<header><h1><bdi>{text(title)}</bdi></h1></header>\n<main>"]
    parts += [section(each, path.parent) for each in contents]
    parts += [f"</main>\n<footer class=quiet><p>{text(about)}</p></footer>\n" if about else "</main>\n"]
    write_text(path, page.whole(title, "\n".join(parts)))


def section(table: Table, place: Path) -> str:
    warned = "".join(f'<p class="notice warning">{text(each)}</p>' for each in table.warnings)
    head = "".join(f'<th scope="col">{text(each)}</th>' for each in table.columns)
    body = "".join(row(cells, table.columns, place=place) for cells in table.rows)
    notes = "".join(f"<p>{text(each)}</p>" for each in table.notes)
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    region = f'<div class="wide cards" tabindex="0" role="region" aria-label="{text(table.title)}">{whole}</div>'
    drawn = "".join(figure(each) for each in table.figures)
    return f"<section><h2><bdi>{text(table.title)}</bdi></h2>{warned}{region}{notes}{drawn}</section>"


def figure(shown: Figure) -> str:
    image = base64.b64encode(shown.jpeg).decode()
    name = text(shown.caption)
    return (
        f'<figure class="example"><figcaption><bdi>{name}</bdi></figcaption>'
        f'<img alt="a photograph of {name} and what was found in it" src="data:image/jpeg;base64,{image}"></figure>'
    )


def row(cells: Sequence, columns: Sequence, *, place: Path) -> str:
    first, *others = cells
    written = [f'<td data-label="{text(title)}">{cell(each, place)}</td>' for each, title in zip(others, columns[1:])]
    if others and len(cells) < len(columns):
        wide = f'<td class="name" colspan="{len(columns) - len(cells) + 1}">'
        written[-1] = f"{wide}{cell(others[-1], place)}</td>"
    return f'<tr><th scope="row">{cell(first, place)}</th>{"".join(written)}</tr>'


def cell(content: Union[str, Link], place: Path) -> str:
    if not isinstance(content, Link):
        return f"<bdi>{text(content)}</bdi>"
    report = content.folder / page.NAME
    if not report.is_file():
        return f"<bdi>{text(content.title)}</bdi>"
    address = quote(os.fsencode(os.path.relpath(report, place).replace(os.sep, "/")))
    return f'<a href="{address}"><bdi>{text(content.title)}</bdi></a>'
