"""Between our expressions and isl: a mask as an integer set, isl's loop bounds as expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import islpy as isl

from attncc.ir.expr import (
    Abs,
    Add,
    And,
    Attribute,
    Bool,
    BoolExpr,
    Compare,
    FloorDiv,
    Int,
    IntExpr,
    Max,
    Member,
    Min,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Param,
    Relation,
    Select,
    Sub,
    Var,
)
from attncc.ir.linear import tidy

#: A mask with more convex pieces has no closed form that anybody would read.
MOST_PIECES = 256


class Sets:
    """Expressions over one isl space, as sets of its points."""

    def __init__(self, space: isl.Space, params: Mapping[str, int]) -> None:
        self._params = params
        self._universe = isl.Set.universe(space)
        self._zero = isl.PwAff.from_aff(isl.Aff.zero_on_domain(isl.LocalSpace.from_space(space)))
        self._names = {
            space.get_dim_name(kind, at): isl.PwAff.from_aff(
                isl.Aff.var_on_domain(isl.LocalSpace.from_space(space), kind, at)
            )
            for kind in (isl.dim_type.param, isl.dim_type.set)
            for at in range(space.dim(kind))
        }

    def points(self, expr: BoolExpr) -> isl.Set:
        """The points of the space for which `expr` holds."""
        match expr:
            case Bool(value):
                return self._universe if value else self._universe.complement()
            case Compare(relation, left, right):
                return _relate(relation, self._value(left), self._value(right))
            case And(left, right):
                return _both(self.points(left), self.points(right))
            case Or(left, right):
                return self.points(left) | self.points(right)
            case Not(operand):
                return self.points(operand).complement()
            case Member():
                raise AssertionError("sets chosen at run time are taken out of a mask before it is analysed")
            case _:
                assert_never(expr)

    def _number(self, value: int) -> isl.PwAff:
        return self._zero.add_constant_val(isl.Val.int_from_si(self._zero.get_ctx(), value))

    def _constant(self, expr: IntExpr) -> isl.Val:
        value = self._value(expr)
        assert value.is_cst(), "the front end lets only constants multiply and divide"
        return value.max_val()

    def _value(self, expr: IntExpr) -> isl.PwAff:
        match expr:
            case Int(value):
                return self._number(value)
            case Var(name):
                return self._names[name]
            case Param(name):
                return self._number(self._params[name])
            case Add(left, right):
                return self._value(left) + self._value(right)
            case Sub(left, right):
                return self._value(left) - self._value(right)
            case Neg(operand):
                return self._value(operand).neg()
            case Abs(operand):
                value = self._value(operand)
                return value.max(value.neg())
            case Mul(left, right):
                return self._value(left) * self._value(right)
            case FloorDiv(left, right):
                return self._value(left).scale_down_val(self._constant(right)).floor()
            case Mod(left, right):
                return self._value(left).mod_val(self._constant(right))
            case Min(left, right):
                return self._value(left).min(self._value(right))
            case Max(left, right):
                return self._value(left).max(self._value(right))
            case Select(condition, then, orelse):
                test = self.points(condition)
                return (
                    self._value(then)
                    .intersect_domain(test)
                    .union_add(self._value(orelse).intersect_domain(test.complement()))
                )
            case Attribute():
                raise AssertionError("inputs are taken out of a mask before it is analysed")
            case _:
                assert_never(expr)


def _both(left: isl.Set, right: isl.Set) -> isl.Set:
    # isl does not count these steps, and `a != b and c != d and ...` doubles the pieces with every term.
    if left.n_basic_set() * right.n_basic_set() > MOST_PIECES:
        raise isl.Error(f"more than {MOST_PIECES} pieces")
    return left & right


def _relate(relation: Relation, left: isl.PwAff, right: isl.PwAff) -> isl.Set:
    match relation:
        case "<":
            return left.lt_set(right)
        case "<=":
            return left.le_set(right)
        case "==":
            return left.eq_set(right)
        case "!=":
            return left.ne_set(right)
        case ">=":
            return left.ge_set(right)
        case ">":
            return left.gt_set(right)
        case _:
            assert_never(relation)


_PAIRS: Mapping[isl.ast_expr_op_type, type[Add | Sub | Mul | FloorDiv | Mod | Min | Max]] = {
    isl.ast_expr_op_type.add: Add,
    isl.ast_expr_op_type.sub: Sub,
    isl.ast_expr_op_type.mul: Mul,
    isl.ast_expr_op_type.div: FloorDiv,
    isl.ast_expr_op_type.fdiv_q: FloorDiv,
    isl.ast_expr_op_type.pdiv_q: FloorDiv,
    isl.ast_expr_op_type.pdiv_r: Mod,
    isl.ast_expr_op_type.zdiv_r: Mod,
    isl.ast_expr_op_type.min: Min,
    isl.ast_expr_op_type.max: Max,
}
_RELATIONS: Mapping[isl.ast_expr_op_type, Relation] = {
    isl.ast_expr_op_type.lt: "<",
    isl.ast_expr_op_type.le: "<=",
    isl.ast_expr_op_type.eq: "==",
    isl.ast_expr_op_type.ge: ">=",
    isl.ast_expr_op_type.gt: ">",
}
_JOINS: Mapping[isl.ast_expr_op_type, type[And | Or]] = {
    isl.ast_expr_op_type.and_: And,
    isl.ast_expr_op_type.and_then: And,
    isl.ast_expr_op_type.or_: Or,
    isl.ast_expr_op_type.or_else: Or,
}


def number(expr: isl.AstExpr) -> IntExpr:
    """An integer expression of isl's loop generator as one of ours."""
    return tidy(_number(expr))


def _number(expr: isl.AstExpr) -> IntExpr:
    if expr.get_type() == isl.ast_expr_type.int:
        return Int(expr.get_val().to_python())
    if expr.get_type() == isl.ast_expr_type.id:
        return Var(expr.get_id().get_name())
    operation = expr.get_op_type()
    if operation == isl.ast_expr_op_type.minus:
        return Neg(_number(expr.get_op_arg(0)))
    if operation in (isl.ast_expr_op_type.select, isl.ast_expr_op_type.cond):
        return Select(truth(expr.get_op_arg(0)), _number(expr.get_op_arg(1)), _number(expr.get_op_arg(2)))
    parts = [_number(expr.get_op_arg(at)) for at in range(expr.get_op_n_arg())]
    result = parts[0]
    for part in parts[1:]:
        result = _PAIRS[operation](result, part)
    return result


def truth(expr: isl.AstExpr) -> BoolExpr:
    """A truth expression of isl's loop generator as one of ours."""
    if expr.get_type() == isl.ast_expr_type.int:
        return Bool(expr.get_val().to_python() != 0)
    operation = expr.get_op_type()
    if operation in _RELATIONS:
        return Compare(_RELATIONS[operation], number(expr.get_op_arg(0)), number(expr.get_op_arg(1)))
    parts = [truth(expr.get_op_arg(at)) for at in range(expr.get_op_n_arg())]
    result = parts[0]
    for part in parts[1:]:
        result = _JOINS[operation](result, part)
    return result


def affine(value: isl.Aff) -> IntExpr:
    """A quasi-affine function of isl: a sum of multiples of sizes and of rounded-down quotients, over a divisor."""
    divisor = value.get_denominator_val().to_python()
    whole = value.scale_val(isl.Val.int_from_si(value.get_ctx(), divisor))
    total: IntExpr = Int(whole.get_constant_val().to_python())
    for at in range(whole.dim(isl.dim_type.param)):
        factor = whole.get_coefficient_val(isl.dim_type.param, at).to_python()
        total = Add(total, Mul(Int(factor), Var(whole.get_dim_name(isl.dim_type.param, at))))
    for at in range(whole.dim(isl.dim_type.div)):
        factor = whole.get_coefficient_val(isl.dim_type.div, at).to_python()
        if factor:
            total = Add(total, Mul(Int(factor), affine(whole.get_div(at))))
    return tidy(FloorDiv(total, Int(divisor)))
