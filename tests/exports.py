"""Models whose weights are not those that they began with, and files' contents run without ganlab."""

import io
from typing import Any

import numpy as np
import torch

from ganlab.tasks.building import build_model

TINY = ["data.image_size=8", "trainer.max_iterations=2000"]
ADVERSARIAL = ["model.generator.width=4", "model.discriminator.width=4"]
OWN = {
    "lapgan": ["data.image_size=16"],
    "semi_supervised_gan": ["data.labels_per_class=3"],
}
OF_POINTS = {"deep_ae": ["model.reconstruction=gaussian"]}
AUTOENCODERS = {"ae", "contractive_ae", "deep_ae", "denoising_ae", "sparse_ae", "stacked_ae", "vae"}


def words_of(model: str, *more: str, data: str = "digits") -> list[str]:
    """A tiny model of that name."""
    small = [] if model in AUTOENCODERS else ADVERSARIAL
    if data == "digits":
        return [f"model={model}", f"data={data}", *TINY, *small, *OWN.get(model, []), *more]
    small = ["model.latent_dim=1", *OF_POINTS.get(model, [])] if model in AUTOENCODERS else small
    own = [word for word in OWN.get(model, []) if "image" not in word]
    return [f"model={model}", f"data={data}", *TINY[1:], *small, *own, *more]


def altered(settings: dict[str, Any], seed: int = 5) -> Any:
    """The model of settings with all its weights and statistics moved, so that an average is not the last weights."""
    model = build_model(settings).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and not name.endswith(("._u", "._v")):
                moved = tensor + 0.1 * torch.randn(tensor.shape, generator=random)
                tensor.copy_(moved.abs() + 0.1 if name.endswith("running_var") else moved)
    return model


def by_onnxruntime(content: bytes, **inputs: torch.Tensor) -> list[torch.Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == list(inputs)
    given = session.run(None, {name: np.asarray(tensor) for name, tensor in inputs.items()})
    return [torch.from_numpy(array) for array in given]


def by_torch(content: bytes, **inputs: torch.Tensor) -> list[torch.Tensor]:
    given = torch.export.load(io.BytesIO(content)).module()(**inputs)
    return list(given) if isinstance(given, tuple) else [given]
