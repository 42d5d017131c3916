"""Puts the pages of an institution onto its app."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from api.settings import Settings


def install(_app: FastAPI, _settings: Settings) -> list[APIRouter]:
    """Give the app its files and live events; returns the pages' routes."""
    return []
