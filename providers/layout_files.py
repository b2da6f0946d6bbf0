"""Layouts as files: TOML, found by name, one's own before a shipped one; one that is unusable says why."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def find(name: str, folders: Iterable[Path]) -> Path | None:
    """The file of the layout of that name, in the first folder that has one."""
    for folder in folders:
        path = folder / f"{name}.toml"
        if Path(name).name == name and path.is_file():
            return path
    return None


def read(path: Path, model: type[Model], what: str, unusable: type[Exception]) -> Model:
    """The layout in that file, named as the file is. Raises `unusable`, which calls it a `what`."""
    try:
        return model(name=path.stem, **tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        raise unusable(f"the {what} {path.name} is not usable: {where} {why}".strip()) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise unusable(f"the {what} {path.name} is no TOML: {error}") from None


def folded(columns: Mapping[Any, list[str]]) -> dict[str, set[str]]:
    """Header words of each field, folded for comparison."""
    return {name: {word.casefold() for word in heads} for name, heads in columns.items()}
