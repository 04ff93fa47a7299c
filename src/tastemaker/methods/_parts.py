"""A tuned language model and the modules beside it -> what an artefact holds of them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn

from tastemaker.artifacts import Artifact
from tastemaker.collab.base import CollaborativeModel
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.data.dataset import Dataset
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.llm import adapters
from tastemaker.llm.local import LocalLM

Array = np.ndarray[Any, Any]
Saved = TypeVar("Saved", bound=BaseModel)


class Base(BaseModel):
    """The language model an artefact needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str

    @classmethod
    def of(cls, llm: LocalLM) -> Base:
        """That model."""
        return cls(name=llm.name, sha256=llm.fingerprint)

    def require(self, llm: LocalLM, where: object) -> None:
        """Nothing, if it is this model; else `ArtifactError`."""
        if llm.fingerprint != self.sha256:
            raise ArtifactError(f"{where}: was tuned on another {self.name} than the one installed; tune again")


def told(artifact: Artifact, file: str, saved: type[Saved], method: str) -> Saved:
    """What a JSON file of the artefact says of the method. Raises `ArtifactError` if that is not understood."""
    try:
        return saved.model_validate(artifact.json(file))
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ArtifactError(f"{artifact.path}: not a {method} that this version knows ({reason})") from error


def require_fitted(
    model: CollaborativeModel | PointwiseModel, catalogue: Dataset, what: str = "collaborative model"
) -> None:
    """Nothing, if the model can have been fitted on a part of this data; else `UsageError`.

    Items have numbers only, so another catalogue as large gives itself away by what was chosen more often.
    """
    chosen = np.bincount(catalogue.interactions["item"].to_numpy(), minlength=catalogue.n_items)
    if len(model.known_items) != catalogue.n_items or (model.item_counts > chosen).any():
        raise UsageError(f"the {what} was not fitted on {catalogue.name}; fit it on this split")


def arrays_of(llm: LocalLM, modules: Mapping[str, nn.Module], called: str = "modules") -> dict[str, dict[str, Array]]:
    """The adapters as peft names them, and in a file so called every tensor of the modules as ``module.name``."""
    tensors = {f"{m}.{name}": t for m, module in modules.items() for name, t in module.state_dict().items()}
    found: dict[str, dict[str, Array]] = {"adapter_model": dict(adapters.adapter_state(llm))}
    if tensors:
        found[called] = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    return found


def restore(modules: Mapping[str, nn.Module], arrays: Mapping[str, Array], where: object) -> None:
    """Undo the modules' part of `arrays_of`. Raises `ArtifactError` if anything does not fit."""
    state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    try:
        for part, module in modules.items():
            own = {key.removeprefix(f"{part}."): t for key, t in state.items() if key.startswith(f"{part}.")}
            module.load_state_dict(own)
    except RuntimeError as error:
        raise ArtifactError(f"{where}: its parts do not fit together ({str(error).splitlines()[0]})") from error
