"""What we measure against does what the released codes do, and gives the answers our own way gives."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import naive
from benchmarks.naive import choice
from tastemaker.prompts.prompt import Prompt
from tastemaker.testing.tiny_llm import tiny_lm

TITLES = ("Heat", "Alien", "Fargo", "Jaws")
PROMPTS = [f"Seen: {', '.join(TITLES[:n])}. Which film is next? Answer:" for n in (1, 3, 2, 4)]
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.fixture(scope="module")
def lm():
    """Ours."""
    return tiny_lm()


@pytest.fixture(scope="module")
def folder(lm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("naive") / "llm"
    lm.model.save_pretrained(path)
    lm.tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def plain(folder: Path):
    """The same weights, plainly loaded."""
    threads = torch.get_num_threads()
    yield naive.load(folder, dtype=torch.float32, threads=1)
    torch.set_num_threads(threads)


@pytest.fixture
def tuned(plain):
    """A model that was taught to answer each of the prompts with one title, the tuner, and its first losses."""
    tuner = naive.Tuner(plain, learning_rate=2e-2)
    examples = [(prompt, f" {title}\n") for prompt, title in zip(PROMPTS, TITLES, strict=True)] * 2
    losses = [loss for _ in range(60) for loss in tuner(examples).losses]
    tuner.model.eval()
    return plain, losses


@pytest.mark.parametrize("path", sorted(Path(naive.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_it_owes_nothing_to_us(path: Path) -> None:
    modules = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [getattr(node, "module", None) or node.names[0].name for node in modules]
    assert not [name for name in names if name.startswith("tastemaker")]


def test_tuning_lowers_the_loss_and_the_tuned_model_names_the_titles(tuned) -> None:
    plain, losses = tuned
    assert losses[-1] < 1.1 < 5.0 < losses[0]  # logits of so small a model cannot take it below 1.05
    assert naive.choose(plain, PROMPTS, [TITLES] * 4).picked == [0, 1, 2, 3]
    plain.model.generation_config.eos_token_id = plain.tokenizer("\n").input_ids[0]
    assert naive.choose(plain, PROMPTS, [TITLES] * 4).tokens == 4 * 64  # all of them wanted to stop after the title


def test_sixty_four_tokens_are_written_whatever_they_are(plain) -> None:
    found = naive.choose(plain, PROMPTS * 3, [TITLES] * 12)
    assert found.tokens == 12 * 64
    assert found.seconds > 0
    alone = [naive.choose(plain, [prompt], [TITLES]).texts[0] for prompt in PROMPTS]
    assert found.texts == alone * 3  # padding on the left changes nothing


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        (" heat\nAlien", 0),
        ("The answer is Fargo.", 2),
        ("Heat, Alien", None),
        ("\nHeat", None),
        ("", None),
    ],
)
def test_the_only_title_in_the_first_line_is_the_answer(text: str, picked: int | None) -> None:
    assert choice.named(text, TITLES) == picked


def test_yes_or_no_is_what_our_own_scores_say(lm, plain) -> None:
    prompts = [f"{prompt} {title}?" for prompt in PROMPTS for title in TITLES * 2]
    ids = [lm.encode(Prompt.of(answer), start=False).ids for answer in (" Yes", " No")]
    firsts = [Prompt.of(lm.tokenizer.decode(answer[:1])) for answer in ids]
    ours = [float(yes - no) for yes, no in lm.score([Prompt.of(p) for p in prompts], [firsts] * len(prompts))]
    found = naive.ask(plain, prompts)
    np.testing.assert_allclose(found.scores, ours, atol=1e-3)
    assert np.std(ours) > 0.1


def test_answers_that_begin_alike_are_refused(plain) -> None:
    with pytest.raises(ValueError, match="same token"):
        naive.ask(plain, PROMPTS, yes=" Yes", no=" Yes")


def test_only_the_answer_is_learned(plain) -> None:
    tuner = naive.Tuner(plain)
    batch = tuner._batch([(PROMPTS[0], " Heat\n"), (PROMPTS[3], " Jaws\n")])
    for row, answer in zip(batch["labels"], (" Heat\n", " Jaws\n"), strict=True):
        assert plain.tokenizer.decode(row[row != -100]) == answer
    assert (
        batch["attention_mask"].sum(1).tolist() == (batch["input_ids"] != plain.tokenizer.pad_token_id).sum(1).tolist()
    )
    assert {parameter.dtype for parameter in tuner.trained} == {torch.float32}


def test_a_second_call_goes_on_where_the_first_stopped(folder: Path) -> None:
    examples = [(prompt, " Heat\n") for prompt in PROMPTS] * 6
    torch.manual_seed(5)
    whole = naive.Tuner(naive.load(folder, dtype=torch.float32, threads=1), learning_rate=1e-2)(examples)
    tuner = naive.Tuner(naive.load(folder, dtype=torch.float32, threads=1), learning_rate=1e-2)
    parts = [tuner(examples[start : start + 8]) for start in (0, 8, 16)]
    assert whole.losses == [loss for part in parts for loss in part.losses]
    assert (whole.samples, len(whole.losses)) == (24, 3)
    assert whole.samples_per_second == pytest.approx(24 / whole.seconds)
