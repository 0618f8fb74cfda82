"""The tables of a comparison as a page, in which each run leads to its report."""

from pathlib import Path

from anomaly.commands import compare_pages
from anomaly.commands.compare_runs import Row, folder_of
from anomaly.show.report import overview
from anomaly.show.tables import RANDOM_MARK


def write(found: dict, folder: Path) -> Path:
    """Where the page is. `found`: the rows of each category."""
    contents = [
        overview.Table(
            name,
            compare_pages.COLUMNS,
            [cells(row, folder) for row in rows],
            notes=(choice.sentence, *compare_pages.views(rows), *remarks(rows)),
            warnings=(RANDOM_MARK,) if any(row.random_backbone for row in rows) else (),
        )
        for name, rows, choice in compare_pages.with_choices(found)
    ]
    page = folder / "compare.html"
    overview.write(page, "Comparison", contents=contents, about=compare_pages.ABOUT)
    return page


def cells(row: Row, folder: Path) -> list:
    if row.reason:
        return [row.method, row.backbone, f"failed: {row.reason}"]
    place = folder_of(folder, row.method, backbone=row.backbone) / row.category
    return [overview.Link(row.method, place), row.backbone, *compare_pages.cells_of(row)]


def remarks(rows: list) -> list:
    return list(dict.fromkeys(row.remark for row in rows if row.remark))
