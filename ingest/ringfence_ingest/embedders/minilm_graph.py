"""Write the graph of all-MiniLM-L6-v2 for onnxruntime.

Promise: the same weights give the same bytes. The graph is BERT as the model's
config.json describes it (6 layers, 12 heads, GELU by erf, layer norm with
1e-12), then the mean over all tokens and unit length. It takes one text at a
time, so it needs no padding and no mask.

Source: Devlin et al. 2019 (BERT); Reimers and Gurevych 2019 (mean pooling);
held against sentence-transformers in tests/ingest/test_minilm.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

LAYERS = 6
HEADS = 12
HEAD_DIMENSIONS = 32
NORM_EPSILON = 1e-12
OPSET = 20
IR_VERSION = 10

Weights = Mapping[str, npt.NDArray[Any]]


def minilm_graph(weights: Weights) -> bytes:
    """Return an ONNX model that takes `ids`, int64 of shape (1, s), and gives `vector`, float32 (1, 384)."""
    writer = _Writer(weights)
    hidden = writer.embeddings()
    for number in range(LAYERS):
        hidden = writer.layer(hidden, f"encoder.layer.{number}")
    writer.node("ReduceMean", hidden, writer.constant("tokens_axis", np.array([1])), out="mean", keepdims=0)
    writer.node("LpNormalization", "mean", out="vector", axis=-1, p=2)
    return writer.model()


class _Writer:
    """Collects nodes and weights; every method returns the name of what it made."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def node(self, kind: str, *inputs: str, out: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, list(inputs), [out], name=out, **attributes))
        return out

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def embeddings(self) -> str:
        table = self._weights["embeddings.position_embeddings.weight"]
        # There is one segment only, so its row is added to every position.
        positions = self.constant(
            "positions", table + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        words = self.constant("words", self._weights["embeddings.word_embeddings.weight"])
        self.node("Gather", words, "ids", out="word")
        self.node("Shape", "ids", out="length", start=1)
        zero = self.constant("zero", np.array([0]))
        self.node("Slice", positions, zero, "length", zero, out="position")
        self.node("Add", "word", "position", out="embedded")
        return self.norm("embedded", "embeddings.LayerNorm")

    def layer(self, hidden: str, name: str) -> str:
        attended = self.linear(self.attention(hidden, f"{name}.attention"), f"{name}.attention.output.dense")
        self.node("Add", attended, hidden, out=f"{name}.attended")
        middle = self.norm(f"{name}.attended", f"{name}.attention.output.LayerNorm")
        self.node("Gelu", self.linear(middle, f"{name}.intermediate.dense"), out=f"{name}.gelu")
        wide = self.linear(f"{name}.gelu", f"{name}.output.dense")
        self.node("Add", wide, middle, out=f"{name}.sum")
        return self.norm(f"{name}.sum", f"{name}.output.LayerNorm")

    def attention(self, hidden: str, name: str) -> str:
        query = self._heads(hidden, f"{name}.self.query", [0, 2, 1, 3])
        key = self._heads(hidden, f"{name}.self.key", [0, 2, 3, 1])
        value = self._heads(hidden, f"{name}.self.value", [0, 2, 1, 3])
        scale = self.constant("scale", np.array(1 / np.sqrt(HEAD_DIMENSIONS), dtype=np.float32))
        self.node("MatMul", query, key, out=f"{name}.products")
        self.node("Mul", f"{name}.products", scale, out=f"{name}.scaled")
        self.node("Softmax", f"{name}.scaled", out=f"{name}.weights", axis=-1)
        self.node("MatMul", f"{name}.weights", value, out=f"{name}.mixed")
        self.node("Transpose", f"{name}.mixed", out=f"{name}.tokens", perm=[0, 2, 1, 3])
        join = self.constant("join", np.array([0, 0, HEADS * HEAD_DIMENSIONS]))
        return self.node("Reshape", f"{name}.tokens", join, out=f"{name}.joined")

    def linear(self, hidden: str, name: str) -> str:
        matrix = self.constant(f"{name}.matrix", self._weights[f"{name}.weight"].T)
        bias = self.constant(f"{name}.bias", self._weights[f"{name}.bias"])
        self.node("MatMul", hidden, matrix, out=f"{name}.product")
        return self.node("Add", f"{name}.product", bias, out=f"{name}.out")

    def norm(self, hidden: str, name: str) -> str:
        gain = self.constant(f"{name}.gain", self._weights[f"{name}.weight"])
        bias = self.constant(f"{name}.bias", self._weights[f"{name}.bias"])
        return self.node(
            "LayerNormalization", hidden, gain, bias, out=f"{name}.out", axis=-1, epsilon=NORM_EPSILON
        )

    def model(self) -> bytes:
        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "s"])
        vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, HEADS * HEAD_DIMENSIONS])
        graph = helper.make_graph(self._nodes, "minilm", [ids], [vector], list(self._constants.values()))
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        return bytes(model.SerializeToString())

    def _heads(self, hidden: str, name: str, order: list[int]) -> str:
        split = self.constant("split", np.array([0, 0, HEADS, HEAD_DIMENSIONS]))
        self.node("Reshape", self.linear(hidden, name), split, out=f"{name}.split")
        return self.node("Transpose", f"{name}.split", out=f"{name}.heads", perm=order)
