"""A conversation: lists that keep to what was said, reasons that are true, and replies whatever the model does."""

import re

import cinema
import pytest
from talks import Talk

from tastemaker.errors import LanguageModelError, UsageError
from tastemaker.llm.fake import LIARS, FakeLM
from tastemaker.serve.chat import replies
from tastemaker.serve.chat.dialogue import Dialogue, Done, Filter, Items
from tastemaker.serve.chat.engine import Settings
from tastemaker.serve.chat.ratings import Ratings
from tastemaker.testing.instructions import follow, instructions

EVERYTHING = Settings(lm_weight=0.5, lm_prose=True, lm_routes=True)


def row(engine, item_id):
    return engine.main.row(item_id)


def test_the_whole_story(talk, engine):
    first = talk("I feel like a crime film tonight")
    assert talk.done.trace.intent == "recommend"
    assert len(first) == 10
    assert all("Crime" in card.attributes["genres"] and card.reason for card in first)
    actor = first[0].attributes["actors"][0]
    years = sorted(card.attributes["year"] for card in first)
    older = talk("older, and not that actor's films")
    assert talk.done.trace.intent == "refine"
    assert older
    for card in older:
        assert "Crime" in card.attributes["genres"]
        assert actor not in card.attributes["actors"]
        assert card.attributes["year"] < years[4]
    (why,) = talk("why this one?")
    assert (talk.done.trace.intent, why.item_id) == ("explain", older[0].item_id)
    assert why.evidence
    assert f'"{older[0].title}"' in talk.text
    assert talk.dialogue.shown == [card.item_id for card in older]
    books = talk("and a book like it?")
    assert (talk.done.trace.intent, talk.dialogue.domain) == ("other-domain", "library")
    assert len(books) == 10
    assert {card.item_id[0] for card in books} == {"b"}
    assert talk.dialogue.anchors == [older[0].item_id]
    assert {*books[0].attributes["genres"]} & {*older[0].attributes["genres"]}
    back = talk("undo")
    assert [card.item_id for card in back] == [card.item_id for card in older]
    assert talk.dialogue.domain == ""


def test_without_a_wish_the_order_is_the_recommenders(talk, engine):
    asked = talk("recommend something")
    frame = engine.main.recommender.recommend(users=["u3"], n=10)
    assert [card.item_id for card in asked] == frame["item_id"].to_list()


def test_what_somebody_has_seen_or_dislikes_never_comes(talk, engine):
    seen = {*engine.main.recommender.recommend(users=["u3"], n=200)["item_id"]}
    talk("recommend something")
    first, second = talk.ids[:2]
    talk("I loved the first one, not the second one")
    assert (talk.dialogue.likes, talk.dialogue.dislikes) == ([first], [second])
    assert not {first, second} & {*talk.ids}
    assert {*talk.ids} <= seen


def test_more_is_something_else(talk):
    talk("a comedy please")
    before = {*talk.ids}
    for _ in range(2):
        talk("show me more")
        assert talk.ids
        assert not before & {*talk.ids}
        before |= {*talk.ids}


def test_somebody_new_is_known_by_a_few_titles(engine):
    talk = Talk(engine)
    talk("I loved The Silent Harbor (1950) and The Hollow Tower (1966), something like those")
    assert talk.dialogue.likes == ["f0", "f88"]
    assert len(talk.cards) == 10
    assert {e for card in talk.cards for e in card.evidence} <= {"f0", "f88"}


def test_a_removed_constraint_and_an_empty_text_ask_again(talk):
    talk("a horror film from the 1990s")
    d = talk.dialogue
    talk.dialogue = d.model_copy(update={"filters": [f for f in d.filters if f.field != "year"]})
    cards = talk("")
    assert all("Horror" in card.attributes["genres"] for card in cards)
    assert any(card.attributes["year"] < 1990 for card in cards)


def test_all_that_was_said_is_remembered(talk):
    for number in range(60):
        talk("thanks" if number else "a comedy")
    assert sum(turn.role == "user" for turn in talk.dialogue.turns) == 60


def test_nothing_that_fits_is_said_and_can_be_undone(talk):
    talk("a horror film")
    shown = talk.ids
    assert talk("only from the 2030s") == []
    assert "Nothing in the catalogue fits" in talk.text
    assert [card.item_id for card in talk("undo")] == shown
    while talk.dialogue.past:
        talk("undo")
    talk("undo")
    assert talk.text == "There is nothing to undo."


def test_questions_without_an_item_ask_back(talk):
    talk("why?")
    assert "which one you mean" in talk.text
    assert talk("who directed the second one") != []  # nothing was shown, so it is a wish like any other


def test_a_question_about_an_item_is_answered_by_what_the_catalogue_says_of_it(talk, engine):
    talk("a crime film")
    before, second = talk.dialogue, talk.ids[1]
    for text in ("is the second one scary?", "is it any good for kids?", "was that made in the 90s?"):
        talk(text)
        assert (talk.ids, talk.done.trace.intent) == ([second], "details")
        assert f"the year {row(engine, second)['year']:g}" in talk.text
        assert f'all the catalogue says of "{row(engine, second)["title"]}"' in talk.text
        assert (talk.dialogue.filters, talk.dialogue.shown) == (before.filters, before.shown)
    assert len(talk("is it possible to get a comedy")) == 10


def test_an_item_that_the_catalogue_says_nothing_of(engine):
    card = engine.cards(["f3"])[0]
    assert (
        replies.details(card, "", None, 5.0, None)
        == f'The catalogue does not say more of "{card.title}" than its title.'
    )


@pytest.mark.parametrize("text", ["thanks!", "hello there", "who are you?"])
def test_small_talk_changes_nothing(talk, text):
    talk("a comedy")
    before = talk.dialogue
    assert talk(text) == []
    assert talk.done.trace.intent == "small-talk"
    assert talk.dialogue.model_copy(update={"turns": []}) == before.model_copy(update={"turns": []})


def test_two_hundred_instructions_are_followed(engine):
    users = [None, *(f"u{u}" for u in range(0, 60, 7))]
    told = follow(engine, instructions(cinema.cinema().items, 200), users)
    assert told.foreign == 0
    assert told.satisfaction >= 0.99, told.wrong[:5]
    assert told.full >= 0.95 * told.possible
    assert told.possible > 100


def test_five_hundred_reasons_are_true(engine):
    checked = 0
    for user in range(50):
        talk = Talk(engine, user_id=f"u{user}")
        for card in talk("recommend something"):
            titles = re.findall(r'"(The [A-Z][a-z]+ [A-Z][a-z]+(?: Returns)? \(\d{4}\))"', card.reason)
            own = {talk.engine.main.card(i).title: i for i in card.evidence}
            rows = [row(engine, card.item_id), *(row(engine, own[title]) for title in titles)]
            history = engine.main.recommender.query(user=f"u{user}").history
            assert {engine.main.catalogue.row(i) for i in card.evidence} <= {*history}
            for genre in cinema.GENRES:
                if re.search(rf"(genres?|and|,) {re.escape(genre)}\b", card.reason):
                    assert all(genre in one["genres"] for one in rows), card.reason
            for actor in cinema.ACTORS:
                if actor in card.reason:
                    assert all(actor in one["actors"] for one in rows), card.reason
            for decade in re.findall(r"\d{3}0(?=s)", card.reason):
                assert all(one["year"] // 10 * 10 == int(decade) for one in rows), card.reason
            assert (
                engine.main.reasons.checker.wrong(card.reason, [row(engine, i) for i in (card.item_id, *card.evidence)])
                == []
            )
            checked += 1
    assert checked == 500


@pytest.mark.parametrize("mode", sorted(LIARS))
def test_no_lie_of_a_model_reaches_the_list_or_the_text(another, mode):
    engine = another(lm=FakeLM(mode=mode, ignore_choices=True), settings=EVERYTHING)
    talk = Talk(engine, user_id="u3")
    for text in ("a crime film", "hmm xyzzy", "thanks", "not horror"):
        for card in talk(text):
            assert card.item_id in engine.main.catalogue
        said = talk.text.replace(cinema.HOSTILE[1], "")
        assert not re.search(r"[<>\x00-\x1f\u202e\u200b\ud800-\udfff]|https?:|!\[", said)
        assert "Nobody Ever Made" not in said


class Dead(FakeLM):
    def score(self, *args, **options):
        raise LanguageModelError("gone")

    generate = score

    def stream(self, *args, **options):
        yield "It is a start. "
        raise LanguageModelError("gone in the middle")


def test_a_dead_model_degrades_to_the_recommender(another, talk):
    silent = [card.item_id for card in talk("a crime film")]
    dead = Talk(another(lm=Dead(), settings=EVERYTHING), user_id="u3")
    assert [card.item_id for card in dead("a crime film")] == silent
    assert dead.done.degraded
    assert not talk.done.degraded


def test_model_scores_reorder_only_the_candidates(another, talk):
    silent = [card.item_id for card in talk("a crime film")]
    favourite = silent[7]
    title = next(card.title for card in talk.cards if card.item_id == favourite)
    model = FakeLM(scores=lambda prompt, one: -1.0 if title in one.text() else -50.0)
    loud = Talk(another(lm=model, settings=Settings(lm_weight=5.0)), user_id="u3")
    assert loud("a crime film")[0].item_id == favourite
    assert "a crime film" in loud.done.trace.prompt
    assert "milliseconds" in loud.done.trace.model_dump()
    assert not loud.done.degraded


def test_checked_prose_streams_and_false_prose_is_dropped(another):
    for written, told in (("All of them are Crime. They suit you.", True), ("All are Romance from 2031.", False)):
        talk = Talk(another(lm=FakeLM(lambda prompt, w=written: w), settings=Settings(lm_prose=True)), user_id="u3")
        talk("a crime film")
        assert (written in talk.text) is told


def test_a_cancelled_reply_ends_with_the_dialogue(another):
    engine = another(lm=FakeLM(["never said. "] * 9), settings=Settings(lm_prose=True))
    events = list(engine.reply(Dialogue(id="x"), "a crime film", cancelled=lambda: True))
    assert isinstance(events[-1], Done)
    assert any(isinstance(event, Items) for event in events)
    assert engine.lm.prompts == []


def test_an_unsure_text_may_be_routed_by_the_model(another):
    chatty = another(lm=FakeLM(lambda prompt: "chats"), settings=Settings(lm_routes=True))
    talk = Talk(chatty)
    assert talk("xyzzy plugh") == []
    assert talk.done.trace.intent == "small-talk"
    assert talk("a crime film") != []


@pytest.mark.parametrize("title", cinema.HOSTILE)
def test_hostile_words_are_only_words(engine, title):
    talk = Talk(engine, user_id="u3")
    model = FakeLM()
    reading = Talk(type(engine)(*engine.shelves.values(), lm=model, settings=Settings(lm_weight=0.1)), user_id="u3")
    for one in (talk, reading):
        one(f"recommend something like {title}")
        one(f'a crime film, not "{title}"')
        assert len(one.cards) == 10
        assert all("Crime" in card.attributes["genres"] for card in one.cards)
        assert one.done.degraded is False
    for prompt in model.prompts:
        trusted = "".join(part for part in prompt.parts if isinstance(part, str))
        assert not any(hostile in trusted for hostile in cinema.HOSTILE)
    assert engine.main.catalogue.items.height == 200


def test_new_items_are_found_and_recommended_at_once(tmp_path):
    engine = cinema.engine(tmp_path)
    engine.add_items([{"item_id": "n1", "title": "Zeppelin Sonata (1999)", "genres": ["Romance"], "year": 1999}])
    assert engine.search("zeppelin", 3)[0].item_id == "n1"
    talk = Talk(engine, user_id="u7")
    assert "n1" in [card.item_id for card in talk("a romance from 1999")]
    assert "n1" in [card.item_id for card in talk("start over") + talk("zeppelin sonata")]
    talk('tell me about "Zeppelin Sonata"')
    assert "Romance" in talk.text
    with pytest.raises(UsageError, match="already"):
        engine.add_items([{"item_id": "n2", "title": "x"}, {"item_id": "f1", "title": "y"}])
    assert "n2" not in engine.main.catalogue
    assert "n1" in cinema.engine(tmp_path).main.catalogue


def test_cards_and_search_are_built_from_ids(engine):
    assert [card.item_id for card in engine.cards(["f3", "b2"])] == ["f3", "b2"]
    assert engine.search("silent har", 3)[0].title.startswith("The Silent Harbor")
    assert engine.search("", 3) == engine.search("\u200b", 3) == []
    with pytest.raises(UsageError, match="no catalogue has"):
        engine.cards(["nothing"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"domain": "nowhere"},
        {"user_id": "nobody"},
        {"likes": ["f999"]},
        {"shown": ["../f1"]},
        {"filters": [Filter(field="1=1 --", op="is", value="x")]},
        {"filters": [Filter(field="year", op="at-least", value="x' OR 1=1")]},
        {"filters": [Filter(field="genres", op="at-most", value="x")]},
    ],
)
def test_a_dialogue_that_speaks_of_nothing_is_one_clear_line(engine, wrong):
    with pytest.raises(UsageError) as told:
        list(engine.reply(Dialogue(id="x", **wrong), "hello"))
    assert "\n" not in str(told.value)


def test_ratings_are_numbers_within_the_scale(another, tmp_path):
    data = cinema.cinema()
    engine = another()
    ratings = Ratings.fit(data, engine.main.recommender)
    ratings.save(tmp_path / "ratings")
    engine = another(ratings=Ratings.load(tmp_path / "ratings"))
    values = [engine.predict_rating(f"f{i}", user="u3") for i in range(50)]
    assert all(3 <= value <= 5 for value in values)
    assert len({*values}) > 10
    talk = Talk(engine, user_id="u3")
    talk("a comedy")
    talk("how would I rate the second one?")
    assert re.search(r"I expect a rating of \d\.\d of 5 from you", talk.text)
    with pytest.raises(UsageError, match="Ratings"):
        another().predict_rating("f1", user="u3")
