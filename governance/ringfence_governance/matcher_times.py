"""Say whether a matcher's answer changes with time only where a rule or a label begins or ends.

Promise: yes only if each condition on the time compares it with a begin or an
end, and turns at that very second. Only then may an answer be kept from one of
these times to the next; what is not understood is a no.
"""

from __future__ import annotations

import ast

_NOW = "r.ctx.now"
_BOUNDS = frozenset({"p.nbf", "p.exp", "r.obj.nbf", "r.obj.exp"})


def is_steady(expression: ast.expr) -> bool:
    """Say whether the matcher's answer is the same from one time a rule or label names up to the next.

    Args:
        expression: Its syntax tree; conditions joined by `and`, `or` and `not`.
    """
    if isinstance(expression, ast.BoolOp):
        return all(map(is_steady, expression.values))
    if isinstance(expression, ast.UnaryOp):
        return is_steady(expression.operand)
    return _turns_at_a_bound(expression) or all(_shown(node) != _NOW for node in ast.walk(expression))


def _turns_at_a_bound(tree: ast.expr) -> bool:
    """Whether it is `bound <= now` or `now < bound`, either way round; `<` for `<=` would turn a second later."""
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
        return False
    left, operator, right = _shown(tree.left), type(tree.ops[0]), _shown(tree.comparators[0])
    if left == _NOW:
        return operator in (ast.GtE, ast.Lt) and right in _BOUNDS
    return operator in (ast.LtE, ast.Gt) and left in _BOUNDS and right == _NOW


def _shown(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute) else ""
