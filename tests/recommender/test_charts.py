import csv
import io

from lxml import etree

from recommender.charts import draw_chart, write_table
from recommender.figures import Line

LINES = [
    Line("C", "popularity", "all", "ndcg@10", 0.1, 0.08, 0.12, 66),
    Line("C", "hamkhan", "all", "ndcg@10", 0.2, 0.18, 0.22, 66),
    Line("C", "hamkhan", "language <fa> & more", "ndcg@10", 0.3, 0.2, 0.4, 12),
    Line("C", "hamkhan", "all", "novelty", 8.0, 7.0, 9.0, 66),
]


def test_the_chart_shows_one_metric_best_first_and_tells_it_in_words() -> None:
    root = etree.fromstring(draw_chart(LINES, metric="ndcg@10", ours="hamkhan"))
    space = {"s": "http://www.w3.org/2000/svg"}

    texts = [text.text for text in root.findall("s:text", space)]
    assert texts[1::2] == [
        "C · all · hamkhan",
        "C · all · popularity",
        "C · language <fa> & more · hamkhan",
    ]
    assert texts[2::2] == ["0.200", "0.100", "0.300"]
    widths = [float(rect.get("width", 0)) for rect in root.findall("s:rect", space)]
    assert widths[0] == 2 * widths[1]
    assert root.find("s:title", space) is not None
    assert root.find("s:desc", space) is not None


def test_a_chart_of_nothing_is_still_a_picture() -> None:
    assert (
        etree.fromstring(draw_chart([], metric="ndcg@10", ours="hamkhan")) is not None
    )


def test_the_table_holds_every_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(write_table(LINES))))

    assert [(row["scorer"], float(row["value"])) for row in rows] == [
        (line.scorer, line.value) for line in LINES
    ]
