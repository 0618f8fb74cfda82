"""The tables of the full benchmark: what was published, what came out, and how it was run."""

import json

import pytest

from benchmarks import jobs, tables


@pytest.mark.parametrize(
    ("method", "device", "means"),
    [
        ("patchcore", "Ascend", (0.9870, 0.9773)),
        ("patchcore", "GPU", (0.9842, 0.9772)),
        ("patchcore", "Ascend310", (0.9857, 0.9770)),
        ("padim", "Ascend", (0.9553, 0.9743)),
        ("padim", "Ascend310", (0.9553, 0.9743)),
        ("fastflow", "Ascend", (None, 0.9842)),
        ("fastflow", "GPU", (None, 0.9841)),
        ("fastflow", "Ascend310", (None, 0.9839)),
    ],
)
def test_published_tables_have_15_categories_and_the_means_that_they_state(method, device, means):
    table = tables.published()[method]["zoo"]["tables"][device]
    assert len(table["categories"]) == 15
    found = {key: tables.average(row.get(key) for row in table["categories"].values()) for key in tables.COMPARED}
    for value, expected in zip(found.values(), means):
        assert value == (None if expected is None else pytest.approx(expected, abs=1e-4))
    for key, stated in table.get("stated", {}).items():
        assert found[key] == pytest.approx(stated, abs=1e-4)


def test_the_order_of_categories_is_that_of_each_method_s_table():
    order = tables.order()
    assert order["patchcore"][:6] == ("carpet", "grid", "leather", "tile", "wood", "bottle")
    assert order["padim"] == order["fastflow"] == tuple(sorted(order["padim"]))
    assert jobs.ordered(["zebra", "bottle", "apple", "carpet"], order["patchcore"])[:2] == ["carpet", "bottle"]
    assert jobs.ordered(["zebra", "bottle", "apple", "carpet"], order["padim"]) == [
        "bottle",
        "carpet",
        "apple",
        "zebra",
    ]


def test_tables_compare_with_what_was_published_and_agree_with_one_another(bench):
    done = bench("patchcore")
    assert done.code == 0, done.err
    rows = {row[1]: row[2:] for row in bench.table()}
    assert list(rows) == ["carpet", "bottle", "apple", "zebra", "mean"]
    assert rows["carpet"][:4] == ["0.9000", "0.8000", "-", "0.7000"]
    assert rows["carpet"][5:] == ["0.9896", "-0.0896", "0.9886", "-0.1886"]
    assert rows["apple"][5:] == ["-", "-", "-", "-"]
    assert rows["mean"][5:] == ["0.9948", "-0.0948", "0.9849", "-0.1849"]  # of carpet and bottle alone
    text = (bench.output / "results.md").read_text()
    printed = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    assert printed[2:] == [[name, *cells] for name, cells in rows.items()]
    assert "no figures of CPU were published" in text and text in done.out
    [part] = json.loads((bench.output / "results.json").read_text())["methods"]
    assert [tables.cells(row)[1:] for row in (*part["categories"], part["mean"])] == list(rows.values())


def test_a_method_that_is_left_alone_stays_in_the_tables(bench):
    assert bench("padim").code == 0
    before = bench.table()
    assert bench("fastflow").code == 0
    assert bench.table()[: len(before)] == before
    assert {row[0] for row in bench.table()} == {"padim", "fastflow"}


def test_tables_say_how_each_category_was_run(bench):
    assert bench("padim", "--", "--resize", "256").code == 0
    first = json.loads((bench.output / "results.json").read_text())["methods"][0]["run"]
    assert first == [f"data set {bench.data}; weights: random; options: --resize 256"]
    bench.plan(apple={"error": "no"})
    marker = bench.output / "padim" / "train_zebra" / "done.json"
    marker.write_text(marker.read_text().replace('"256"', '"288"'))  # as if it had been run otherwise
    assert bench("fastflow").code == 1
    text = (bench.output / "results.md").read_text()
    assert f"\nRun: zebra: data set {bench.data}; weights: random; options: --resize 288\n" in text
    assert f"\nRun: bottle, carpet, apple: {first[0]}\n" in text


def test_remarks_and_other_published_means_are_below_the_table():
    figures = {"img_auc": 0.5, "backbone": "resnet18 (random)", "random_backbone": True, "remark": "half of it"}
    part = tables.section(
        "fastflow", "GPU", [tables.Entry("bottle", figures, 2.0, {}), tables.Entry("cable", None, None, {})]
    )
    assert part["remarks"][0].startswith("RANDOM BACKBONE") and part["remarks"][1] == "half of it"
    assert "resnet18; the published table is of wide_resnet50" in part["remarks"][2]
    assert any("Paddle" in remark and "0.980" in remark for remark in part["remarks"])
    assert "RTX 3090" in part["published"]
    assert tables.cells(part["categories"][1]) == ["cable", "-", "-", "-", "-", "-", "-", "-", "0.9809", "-"]
