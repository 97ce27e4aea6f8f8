"""Transformations: `{class.operation,parameters}` behind a pseudo-variable."""

from kamailiod.script.transformations.chain import OPERATIONS, Transformation, compile

__all__ = ["OPERATIONS", "Transformation", "compile"]
