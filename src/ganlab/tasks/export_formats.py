"""A function of tensors as the content of a file, and back: programs of torch.export, and ONNX."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ganlab.errors import ConfigError, innermost, reason_of
from ganlab.tasks.export import Format
from ganlab.tasks.exported_parts import Inputs

Runnable = Callable[[Inputs], tuple[Tensor, ...]]
"""What a file holds, loaded again."""

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
MOST_FOR_ONNX = 2**31 - 2**20
"""Bytes of an ONNX file, a message of protobuf."""


def traced(function: nn.Module, inputs: Inputs, what: str) -> tuple[ExportedProgram, list[str]]:
    """The function as a program for any batch size, and the names of the inputs that it makes use of.

    `inputs` is an example of at least 2 samples; what the function never looks at is no input of the program.
    Raises `ConfigError`, which begins with `what`, for a function that cannot be traced.
    """
    program = _traced(function, inputs, what)
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    used = [name for name in inputs if nodes[name].users]
    if len(used) < len(inputs):
        program = _traced(function, {name: inputs[name] for name in used}, what)
    return program, used


def _traced(function: nn.Module, inputs: Inputs, what: str) -> ExportedProgram:
    batch = Dim("batch", min=1)
    shapes = {name: {0: batch} for name in inputs}
    for strict in (False, True):  # the first is quicker; the second follows len() of a batch
        try:
            with quiet():
                program = torch.export.export(function, (), dict(inputs), dynamic_shapes=shapes, strict=strict)
        except Exception as error:  # whatever a network of somebody's own may do
            reason = reason_of(innermost(error))
        else:
            return _tidied(program)
    raise ConfigError(f"{what} cannot be traced as a function of tensors for batches of any size ({reason})")


def content_of(program: ExportedProgram, format: Format, inputs: list[str], outputs: list[str], what: str) -> bytes:
    """The content of a file. Raises `ConfigError`, which begins with `what`, where that cannot be."""
    try:
        with quiet():
            return _torch(program) if format == "torch" else _onnx(program, inputs, outputs)
    except ConfigError as error:
        raise ConfigError(f"format={format}: {what} {error}") from None
    except Exception as error:  # an operator that a format has not
        raise ConfigError(f"format={format}: {what} cannot be written so ({reason_of(innermost(error))})") from error


def loaded(content: bytes, format: Format) -> Runnable:
    """The function that a file's content holds."""
    return _loaded_torch(content) if format == "torch" else _loaded_onnx(content)


def _torch(program: ExportedProgram) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def _loaded_torch(content: bytes) -> Runnable:
    with quiet():
        module: Any = torch.export.load(io.BytesIO(content)).module()

    def run(inputs: Inputs) -> tuple[Tensor, ...]:
        given = module(**inputs)
        return given if isinstance(given, tuple) else (given,)

    return run


def _onnx(program: ExportedProgram, inputs: list[str], outputs: list[str]) -> bytes:
    weights = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    if weights > MOST_FOR_ONNX:
        raise ConfigError(f"has {weights / 2**30:.1f} GiB of weights, and an ONNX file 2 at most; use format=torch")
    made: Any = torch.onnx.export(
        program, (), dynamo=True, input_names=inputs, output_names=outputs, optimize=True, verbose=False
    )
    _name_batch(made.model.graph)
    for node in made.model.graph:
        node.metadata_props.clear()  # lines of source files, and whose they are
    return made.model_proto.SerializeToString()


def _name_batch(graph: Any) -> None:
    """Call the open dimension of inputs and outputs what it is; what the exporter calls it differs from run to run."""
    import onnx_ir

    for value in (*graph.inputs, *graph.outputs):
        value.shape = onnx_ir.Shape(["batch", *list(value.shape)[1:]])


def _loaded_onnx(content: bytes) -> Runnable:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(inputs: Inputs) -> tuple[Tensor, ...]:
        given = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        return tuple(torch.from_numpy(array) for array in given)

    return run


def _tidied(program: ExportedProgram) -> ExportedProgram:
    """The program without the lines of source files that it was traced from, which tell whose machine it was; and
    without squeezes of dimensions that are not 1, which do nothing in torch and are an error in ONNX."""
    squeeze, alias = torch.ops.aten.squeeze.dim, torch.ops.aten.alias.default
    for node in program.graph.nodes:
        for key in ("stack_trace", "from_node", "source_fn_stack"):
            node.meta.pop(key, None)
        if node.target is squeeze and node.args[0].meta["val"].shape[node.args[1]] != 1:
            node.target, node.args = alias, node.args[:1]
    program.graph_module.recompile()
    return program


@contextmanager
def quiet() -> Iterator[None]:
    """Without what exporters say of their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
