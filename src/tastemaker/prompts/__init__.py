"""Typed parts -> prompts, and completions -> candidates."""

from tastemaker.prompts.clean import clean, plain_title
from tastemaker.prompts.parse import Parsed, parse, parse_substring
from tastemaker.prompts.prompt import Item, ItemSlot, Part, Prompt, Quoted, Slot, UserSlot, fit, joined
from tastemaker.prompts.trie import Trie

__all__ = [
    "Item",
    "ItemSlot",
    "Parsed",
    "Part",
    "Prompt",
    "Quoted",
    "Slot",
    "Trie",
    "UserSlot",
    "clean",
    "fit",
    "joined",
    "parse",
    "parse_substring",
    "plain_title",
]
