"""What a program that recommends says of what it takes and answers, whose history it carries, and of its scores."""

from __future__ import annotations

from typing import Any


def described(card: dict[str, Any]) -> list[str]:
    """Lines on input and output."""
    given = card["output"]
    ranked = given["low"] is None
    score = "a score, which only ranks," if ranked else f"the rating expected, {given['low']:g} to {given['high']:g},"
    return [*_input(card["input"]), f"output: items that they have not seen, each with {score} and the reason"]


def scored(scores: dict[str, Any]) -> tuple[str, list[str]]:
    """What was held out, and lines on scores of its own."""
    return "held-out ratings" if scores.get("headline") == "RMSE" else "users with held-out choices", []


def closing(card: dict[str, Any]) -> list[str]:
    """Lines at the end: none."""
    return []


def _input(card: dict[str, Any]) -> list[str]:
    named = "titles or ids" if card["titles"] else "ids"
    if not card["users"]:
        return [
            f"input: what somebody likes, by {named} of {card['items']} items",
            "       inside are the factors of items only: nobody's history, no users (--no-users)",
            "       an item that one person alone chose is among them",
        ]
    return [
        f"input: what somebody likes, by {named} of {card['items']} items, or the id of one of {card['users']} known users",
        "       inside are the factors of items, and each user's id, taste and history: keep it as private as the table it "
        "was learnt from",
    ]
