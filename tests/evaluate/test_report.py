from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from tastemaker.data.split import Split
from tastemaker.errors import DataError, UsageError
from tastemaker.evaluate.report import Curve, Example, Suggestion, render_report
from tastemaker.evaluate.report.charts import panels
from tastemaker.evaluate.report.scale import Scale, smoothed, thinned
from tastemaker.evaluate.result import Published, Result
from tastemaker.evaluate.results import result_of
from tastemaker.evaluate.run import evaluate

HOSTILE = '<script>alert("x")</script><img src=http://x.test/a onerror=alert(1)>\'"&'
LOG = [{"stage": "text" if s < 5 else "hybrid", "step": s, "loss": 3.0 / s, "lr": 1e-4} for s in range(1, 11)]


@pytest.fixture(scope="module")
def result(split: Split, toy: SimpleNamespace) -> Result:
    systems = [toy.constant(), toy.half(), toy.oracle(HOSTILE, notes=HOSTILE)]
    return result_of(evaluate(split, systems, "leave-one-out-20"), HOSTILE, HOSTILE, commit=HOSTILE)


@pytest.fixture(scope="module")
def page(result: Result) -> str:
    curves = [Curve(HOSTILE, [*LOG, {"step": 10, "valid_hr@1": 0.5, "stage": HOSTILE}])]
    examples = [
        Example(HOSTILE, [HOSTILE] * 20, [Suggestion(HOSTILE, 0.5, HOSTILE), Suggestion("Heat (1995)")], HOSTILE),
        Example("User 2", [], [Suggestion("Heat (1995)")], "Fargo (1996)"),
    ]
    return render_report([result], curves=curves, examples=examples, title=HOSTILE)


class _Reader(HTMLParser):
    VOID = ("meta", "br", "img", "link", "input", "hr")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_foreign_text_stays_text(page: str) -> None:
    reader = _Reader(page)
    assert not {"script", "img", "link", "iframe", "object"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert HOSTILE in "".join(reader.text)


def test_published_figures_are_told_apart_from_measured_ones(result: Result, page: str) -> None:
    told = Published(system=HOSTILE, metrics={"hr@1": 0.4526}, source=HOSTILE)
    reader = _Reader(render_report([result.model_copy(update={"published": (told,)})]))
    text = "".join(reader.text)
    assert f"(other models, other candidate lists):\n{HOSTILE} hr@1 0.4526 ({HOSTILE})" in text
    assert reader.open == []
    assert "not measured here" in text
    assert "not measured here" not in page


def test_every_tag_is_closed(page: str) -> None:
    assert _Reader(page).open == []


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    reader = _Reader(page)
    assert "default-src 'none'" in page
    links = [value for name, value in reader.attributes if name in ("href", "src", "xlink:href", "data")]
    assert links
    assert all(link.startswith("#") for link in links)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]


def test_links_inside_the_page_lead_somewhere_and_ids_are_unique(page: str) -> None:
    attributes = _Reader(page).attributes
    ids = [value for name, value in attributes if name in ("id",)]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in attributes if name == "href"} <= set(ids)


def test_drawings_have_words_for_those_who_cannot_see_them(page: str) -> None:
    drawings = re.findall(r"<svg[^>]*>", page)
    assert len(drawings) > 10
    assert all(
        ('role="img"' in d and "aria-label=" in d) or 'aria-hidden="true"' in d or "<svg width=" in d for d in drawings
    )


def test_both_colour_schemes_name_the_same_colours() -> None:
    import tastemaker.evaluate.report as report

    style = (Path(report.__file__).parent / "templates" / "style.css").read_text()
    light, dark = style.split("prefers-color-scheme: dark", 1)
    names = set(re.findall(r"--[a-z]+(?=:)", light))
    assert names - set(re.findall(r"--[a-z]+(?=:)", dark.split("}")[0])) == set()
    assert set(re.findall(r"var\((--[a-z]+)", style)) <= names | {"--c"}


def test_the_page_has_every_part(page: str, result: Result) -> None:
    for part in (
        "Every system that was measured",
        "against every other",
        "Does the position in the list matter?",
        "Is it as often right as it is sure?",
        "Recommendations",
        "chosen next",
        "Really chosen next: Fargo (1996)",
        "Training",
        result.data_hash,
        result.candidates_hash or "-",
        "chance 0.050",
        "The last 12 of 20 items seen",
    ):
        assert part in page


def test_a_page_without_candidates_pairs_curves_or_examples(split: Split, toy: SimpleNamespace) -> None:
    result = result_of(evaluate(split, [toy.oracle()], "leave-one-out"), "whole", commit="c")
    page = render_report([result, result])
    assert _Reader(page).open == []
    assert "Does the position" not in page
    assert "Recommendations" not in page


def test_results_of_other_kinds_can_be_shown() -> None:
    row = {"system": "first run", "kind": "demo", "metrics": {"minutes": 9.5}}
    base = {"protocol": "clock", "command": "make demo", "commit": "c", "data_hash": "d", "n": 1, "machine": "m"}
    page = render_report([Result.model_validate({"name": "demo", "seconds": 1.0, "rows": [row], **base})])
    assert "9.500" in page


def test_no_results_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no results"):
        render_report([])


def test_a_training_log_cut_short_is_read_up_to_the_cut(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps(row) for row in LOG) + '\n{"step": 11, "lo')
    assert Curve.read(log).rows == LOG
    assert Curve.read(log).name == "log"
    log.write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(DataError, match=r"log\.jsonl:2: not JSON"):
        Curve.read(log)
    with pytest.raises(DataError, match="cannot be read"):
        Curve.read(tmp_path / "none.jsonl")


def test_odd_training_logs_do_not_break_the_page(result: Result) -> None:
    odd = [
        [],
        [{"step": 1, "loss": 2.0}],
        [{"step": 1, "loss": float("nan")}],
        [{"epoch": 1}],
        [{"step": "x", "loss": 1}],
    ]
    odd += [[{"step": s, "loss": 1.0, "valid": 0.0} for s in range(2000)]]
    page = render_report([result], curves=[Curve(str(i), rows) for i, rows in enumerate(odd)])
    assert "nan" not in page.replace("finance", "")
    assert len(page) < 600_000


@pytest.mark.parametrize("values", [[0.446, 0.21], [0.0], [5.0, 5.0], [-0.01, 0.4], [1e-5, 2e-4], [1, 1e6], []])
@pytest.mark.parametrize("zero", [True, False])
def test_scales_hold_their_values_and_mark_round_numbers(values: list[float], zero: bool) -> None:
    scale = Scale.around(values, zero=zero)
    assert 2 <= len(scale.ticks) <= 9
    assert all(scale.low <= v <= scale.high for v in values)
    assert not zero or scale.low <= 0 <= scale.high
    assert len({tick.label for tick in scale.ticks}) == len(scale.ticks)
    assert (scale.ticks[0].at, scale.ticks[-1].at) == (0.0, 100.0)


def test_long_curves_are_thinned_and_smoothed_without_drifting() -> None:
    points = [(float(i), float(i % 2)) for i in range(1000)]
    few = thinned(points, most=100)
    assert len(few) == 100
    assert all(y == pytest.approx(0.5) for _, y in few)
    assert thinned(points[:5]) == points[:5]
    assert all(0.4 < y < 0.6 for _, y in smoothed(points))


def test_curves_run_from_left_to_right_and_a_falling_loss_falls() -> None:
    loss, rate = panels(LOG)
    assert [p.title for p in (loss, rate)] == ["loss", "lr"]
    across, up = zip(*loss.line, strict=True)
    assert list(across) == sorted(across)
    assert list(up) == sorted(up, reverse=True)
    assert across[-1] == 100.0
    assert [(s.at, s.label) for s in loss.stages] == [(10.0, "text"), (50.0, "hybrid")]
    assert loss.summary == "from 3.000 to 0.300, lowest 0.300 at step 10"
