"""A made-up shelf of books, each told in a sentence that never names its genre -> what films of a genre find there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tastemaker import Recommender, collab
from tastemaker.data import Dataset
from tastemaker.data.split import Split
from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.serve.chat.catalogue import Catalogue
from tastemaker.serve.chat.dialogue import Dialogue, Items
from tastemaker.serve.chat.engine import Engine
from tastemaker.serve.chat.shelf import Shelf

BOOKS: dict[str, tuple[str, ...]] = {
    "Horror": (
        "The House on Gallows Hill|A family moves into a haunted mansion where the dead walk the halls at night",
        "Teeth in the Dark|Something with claws hunts campers, and nobody hears their screams",
        "The Thirteenth Coffin|A vampire wakes beneath a village church and thirsts for blood",
        "Bury Me Shallow|A cursed graveyard returns the corpses of the murdered",
        "What the Doll Saw|A possessed toy whispers to a child until the killings begin",
        "Night Nurse|In an abandoned asylum a demon feeds on terror",
    ),
    "Sci-Fi": (
        "The Last Airlock|The crew of a starship meets an alien signal beyond the solar system",
        "Copper Minds|A robot on a Mars colony begins to doubt its programming",
        "Seven Suns|Explorers cross a wormhole to a distant galaxy",
        "The Clone Ledger|In the twenty-third century a laboratory sells copies of people",
        "Gravity Well|Astronauts are stranded in orbit when their computer takes over the space station",
        "Tomorrow Twice|A physicist builds a time machine and meets her future self",
    ),
    "Western": (
        "Dust over Abilene|A gunslinger rides into a frontier town to face the sheriff",
        "The Long Cattle Drive|Cowboys take a herd across the prairie to the railroad",
        "Six Bullets for Cole|An outlaw robs stagecoaches until a bounty hunter finds his trail",
        "Saddle and Smoke|Ranchers and rustlers fight for land and water in old Wyoming",
        "The Marshal of Red Rock|A lawman with a Colt waits for a duel at noon",
        "Apache Crossing|Settlers in wagons cross the desert with cavalry behind them",
    ),
    "War": (
        "Mud at Dawn|Soldiers in the trenches wait for the order to attack",
        "The Bridge at Arden|A platoon holds a bridge against tanks in the winter of 1944",
        "Letters from the Front|A medic writes home while bombs fall on the army camp",
        "Wings over Malta|Fighter pilots defend an island against bombers",
        "The Deserter's Medal|A general sends his battalion into a hopeless battle",
        "Prisoner 511|Captured troops plan to escape a prison camp behind enemy lines",
    ),
    "Children's": (
        "The Rabbit Who Baked|A little rabbit and her friends bake a cake for the forest",
        "Pip and the Puppy|A boy and his talking puppy go on a magical trip to grandma",
        "The Dragon's Lost Tooth|A small dragon asks the toy shop for help before bedtime",
        "Princess Lily's Pony|A kind princess learns to ride a pony with fairy dust",
        "The Bear's Birthday|All animals of the zoo sing for a teddy bear",
        "Sock Monkey Summer|Kids on a farm find a friendly monkey and a secret tree house",
    ),
    "Romance": (
        "A Summer in Verona|Two strangers fall in love over letters and a single kiss",
        "The Wedding Guest|A bride meets her first sweetheart again on the eve of her wedding",
        "Rosewater|A shy florist wins the heart of a widower with bouquets",
        "Lovers on Platform Two|He misses the train and finds the woman of his life",
        "Promise Me Paris|A couple kept apart by their families meet again in Paris",
        "The Dance Card|A duke courts a governess at a ball, and both lose their hearts",
    ),
}
"""Title and blurb, by the genre that nothing but this table knows."""
FILMS = 8
SHOWN = 6


def shelf(folder: Path, encoder: SentenceEncoder) -> Shelf:
    """The books, each read by one made-up reader, so that the retriever has no opinion."""
    told = [one.split("|") for books in BOOKS.values() for one in books]
    items = pl.DataFrame(
        {"item_id": [f"b{i}" for i in range(len(told))], "title": [t for t, _ in told], "blurb": [b for _, b in told]}
    )
    readers = pl.DataFrame({"user_id": [f"r{i}" for i in range(len(told))], "item_id": items["item_id"]})
    data = Dataset.from_frames(readers, items, name="made-up books")
    everything = Split(data, "everything", {}, data.interactions, (), ())
    recommender = Recommender(collab.models.get("popularity")().fit(everything), data=data)
    return Shelf(recommender, Catalogue.open(folder, items, encoder), nouns=("book", "books"))


def found(engine: Engine, genre: str, films: Sequence[str]) -> int:
    """How many of the first books that somebody who chose these films is shown are of the genre."""
    dialogue = Dialogue(id=genre, history=list(films))
    for event in engine.reply(dialogue, "recommend me a book"):
        if isinstance(event, Items):
            own = {one.split("|")[0] for one in BOOKS[genre]}
            return sum(card.title in own for card in event.cards[:SHOWN])
    return 0
