"""Pipelines, and steps that pass rows on."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, Document, NotCompiled, compile_part


def compile_pipeline(pipeline: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return the chain of a pipeline's steps, or what stands for a step that passes rows on."""
    if isinstance(pipeline, FunctionTransformer):
        if pipeline.func is not None:
            raise NotCompiled(f"the function {getattr(pipeline.func, '__qualname__', pipeline.func)!r} has no compiled form")
        return CompiledPart({"kind": "chain", "parts": []})
    parts: list[Document] = []
    output = None
    for place, (_, step) in enumerate(pipeline.steps):
        if step in ("passthrough", None):
            continue
        part = compile_part(step, sample, arrays)
        parts.append(part.document)
        output = part.output
        if place < len(pipeline.steps) - 1:
            sample = step.transform(sample)
    return CompiledPart({"kind": "chain", "parts": parts}, output)


COMPILER = Compiler("pipelines", (Pipeline, FunctionTransformer), compile_pipeline)
