"""The report of a check in plain words, and as data."""

from anomaly.data.check import Report, things


def lines(report: Report, *, most: int = 10) -> list:
    """The report in plain words; of each finding so many files."""
    told = [shown(report.category)]
    if report.train:
        bad = [f"{name} {number}" for name, number in report.test.items() if name != "good"]
        tests = [f"{report.test['good']} good"] if report.test.get("good") else []
        number = sum(report.test.values()) - report.test.get("good", 0)
        tests += [f"{number} of defects ({', '.join(map(shown, bad))}), {report.masks} with a mask"] if bad else []
        told += [f"  to train on   {things(report.train, 'good photograph')}"]
        told += [f"  to test on    {' and '.join(tests) or 'nothing'}"]
        told += [f"                {report.note}"] if report.note else []
        sizes = [f"{number} of {width} x {height}" for (width, height), number in report.sizes[:3]]
        more = f" and {len(report.sizes) - 3} other sizes" if len(report.sizes) > 3 else ""
        told += [f"  sizes         {', '.join(sizes)}{more} (width x height)"] if sizes else []
        told += [f"  colours       {report.colour} in colour, {report.grey} in grey"]
    for finding in report.findings:
        told += [f"{finding.level}: {shown(finding.text)}"]
        told += [f"    {shown(file)}" for file in finding.files[:most]]
        told += [f"    and {len(finding.files) - most} more"] if len(finding.files) > most else []
    return [*told, *([] if report.findings else ["nothing wrong was found"])]


def shown(text: str) -> str:
    """On one line, whatever signs a name holds."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(text))


def encodable(text: str) -> str:
    """Names of files that are not UTF-8 keep their bytes as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def as_data(report: Report) -> dict:
    """For JSON."""
    return {
        "category": report.category,
        "train": report.train,
        "test": report.test,
        "masks": report.masks,
        "sizes": [{"width": w, "height": h, "photographs": number} for (w, h), number in report.sizes],
        "grey": report.grey,
        "colour": report.colour,
        "note": report.note,
        "findings": [
            {**finding._asdict(), "text": encodable(finding.text), "files": [*map(encodable, finding.files)]}
            for finding in report.findings
        ],
    }
