"""A fold's model as an ONNX graph that other programs can run, checked against torch.

What goes in is normalised as the checkpoint says (the description beside the graph has
the numbers); what comes out are calibrated probabilities and values. A network that was
trained with its face backbone takes pictures, all others take features.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_schema.errors import MissingExtraError, TrainingError
from emer_model.data.targets import Target

#: Greatest difference between the graph's answers and torch's that is rounding. Ours: probabilities are float32 sums.
TOLERANCE = 1e-4
#: Version of the operators: the newest one that onnxruntime of the extra's lower bound runs.
OPSET = 18
_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
_DTYPES = {torch.uint8: "uint8", torch.bool: "bool", torch.float32: "float32"}


class Answering(nn.Module):
    """A model that takes its inputs in order and answers with probabilities and values, not logits.

    Parameters
    ----------
    model : nn.Module
        With ``inputs``.
    targets : sequence of Target
        What is answered, in order.
    temperatures : mapping of str to float
        By target of classes; logits are divided by it.
    """

    def __init__(self, model: nn.Module, targets: Sequence[Target], temperatures: Mapping[str, float]) -> None:
        super().__init__()
        self.model, self.targets = _wider_integers(model), tuple(targets)
        self.inputs: tuple[str, ...] = tuple(model.inputs)
        self.temperatures = dict(temperatures)
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Judge a batch: inputs in the order of ``inputs``, answers (B, K) or (B, 1) in the order of ``targets``."""
        outputs = self.model(**dict(zip(self.inputs, inputs, strict=True))).targets
        answers = []
        for target in self.targets:
            value = outputs[target.name].float()
            if target.classes:
                answers.append(torch.softmax(value / self.temperatures.get(target.name, 1.0), dim=1))
            else:
                answers.append(value.clamp(target.low, target.high))
        return tuple(answers)


def _wider_integers(model: nn.Module) -> nn.Module:
    """Copy a model with its 16-bit integers, such as the children of trees, as 32-bit ones: runtimes compute with these."""
    wider = copy.deepcopy(model)
    for module in wider.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.dtype == torch.int16:
                setattr(module, name, buffer.to(torch.int32))
    return wider.to("cpu", memory_format=torch.contiguous_format)


def require_onnx() -> None:
    """Refuse early where the extra is not installed.

    Raises
    ------
    MissingExtraError
    """
    for name in _LIBRARIES:
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError("onnx", name, "Writing a model as an ONNX graph")


def make_graph(answering: Answering, example: Sequence[Tensor]) -> bytes:
    """Turn a model into an ONNX file.

    Parameters
    ----------
    answering : Answering
    example : sequence of Tensor
        Inputs of two clips or more; the graph takes any number.

    Returns
    -------
    bytes
        Without anything about the machine that wrote it.

    Raises
    ------
    TrainingError
        If the model has something that cannot be turned into a graph.
    """
    require_onnx()
    import onnx

    batch = torch.export.Dim("batch")
    shapes = (tuple({0: batch} for _ in example),)
    try:
        with torch.no_grad(), _quiet():
            # Strictness would trace Python code anew to no use: nothing here depends on the data.
            exported = torch.export.export(answering, tuple(example), dynamic_shapes=shapes, strict=False)
            program = torch.onnx.export(
                exported,
                dynamo=True,
                input_names=list(answering.inputs),
                output_names=[target.name for target in answering.targets],
                opset_version=OPSET,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, torch._dynamo.exc.TorchDynamoException) as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise TrainingError(
            f"the model cannot be written as a graph: {first} Please report it with the model's name."
        ) from error
    if program is None:
        raise TrainingError("the model cannot be written as a graph: the exporter gave none. Please report it.")
    proto = program.model_proto
    _forget_machine(proto)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def run_graph(graph: bytes, inputs: Mapping[str, np.ndarray], threads: int = 1) -> dict[str, np.ndarray]:
    """Run an ONNX graph by onnxruntime on the CPU.

    Parameters
    ----------
    graph : bytes
    inputs : mapping of str to ndarray, shape (B, ...)
        Those that the graph does not use are left out.
    threads : int

    Returns
    -------
    dict of str to ndarray
        By output.

    Raises
    ------
    TrainingError
        If onnxruntime has no such operator, or the inputs are not the graph's.
    """
    require_onnx()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    state = onnxruntime.capi.onnxruntime_pybind11_state
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        given = {one.name: inputs[one.name] for one in session.get_inputs()}
        return dict(zip(names, session.run(names, given), strict=True))
    except (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NotImplemented,
        state.RuntimeException,
    ) as error:
        raise TrainingError(
            f"onnxruntime {onnxruntime.__version__} cannot run the graph: {str(error).splitlines()[0]} Please report it with "
            "the model's name."
        ) from error


def greatest_difference(answering: Answering, graph: bytes, batch: Mapping[str, Tensor]) -> float:
    """Ask torch and the graph about the same clips, all at once and the first alone; return the greatest difference.

    Infinite where an answer is not a finite number.
    """
    arrays = {name: batch[name].numpy() for name in answering.inputs}
    worst = 0.0
    for n in sorted({1, len(next(iter(arrays.values())))}):
        with torch.inference_mode():
            expected = answering(*(batch[name][:n] for name in answering.inputs))
        found = run_graph(graph, {name: values[:n] for name, values in arrays.items()})
        for target, answer in zip(answering.targets, expected, strict=True):
            difference = np.abs(found[target.name].astype(np.float64) - answer.numpy())
            worst = max(worst, float(difference.max()) if np.isfinite(difference).all() else float("inf"))
    return worst


def input_types(batch: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, tuple[str, list[int | str]]]:
    """Return type and shape of each input, the batch by its name."""
    return {name: (_DTYPES[batch[name].dtype], ["batch", *batch[name].shape[1:]]) for name in names}


def _forget_machine(proto: Any) -> None:
    """Take stack traces out of a graph: they hold the paths of the machine that wrote it."""
    parts = [proto, proto.graph, *proto.functions, *proto.graph.node, *proto.graph.value_info, *proto.graph.initializer]
    parts += [node for function in proto.functions for node in function.node]
    parts += [*proto.graph.input, *proto.graph.output]
    for part in parts:
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
        if hasattr(part, "doc_string"):
            part.doc_string = ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of itself and nobody here can act on; its errors are raised all the same."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message, category in _ANSWERED:
                warnings.filterwarnings("ignore", message=message, category=category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


#: Warnings of torch 2.13, about itself: a name that it wants to rename, and the list in which its LSTM keeps weights.
_ANSWERED: tuple[tuple[str, type[Warning]], ...] = (
    (r"The tensor attributes? .*_flat_weights\[.* assigned during export.*", UserWarning),
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated.*", FutureWarning),
)
