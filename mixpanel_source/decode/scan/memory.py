"""Bytes and words of memory, for compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic
"""Of any type, for what it makes is called with other arguments than what it is made of."""

PADDING = 512
"""Bytes that may be read, or written, past the end of a block or a text.

The longest that is compared at once is the name of a property; see `scanner.MAX_KEY_BYTES`.
"""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep the machine code if there is a place."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither beside this file nor in the user's cache may be written
        return njit(nogil=True)(function)


def _at_address(builder: Any, arguments: Any, bits: int) -> Any:
    """A pointer to `bits` bits at the sum of two arguments."""
    return builder.inttoptr(builder.add(*arguments[:2]), ir.IntType(bits).as_pointer())


def _item(builder: Any, arguments: Any, bits: int) -> Any:
    """A pointer to an item of `bits` bits of the array at an address."""
    array = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
    return builder.gep(array, [arguments[1]])


@intrinsic
def byte_at(_context: Any, data: Any, at: Any) -> Any:
    """The byte at an offset from an address, as an int64."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.load(_at_address(builder, arguments, 8)), ir.IntType(64))

    return types.int64(types.int64, types.int64), generate


@intrinsic
def word_at(_context: Any, data: Any, at: Any) -> Any:
    """The eight bytes at an offset from an address, the first of them lowest."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = builder.load(_at_address(builder, arguments, 64))
        word.align = 1
        return word

    return types.uint64(types.int64, types.int64), generate


@intrinsic
def put_word(_context: Any, data: Any, at: Any, word: Any) -> Any:
    """Write eight bytes at an offset from an address."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _at_address(builder, arguments, 64)).align = 1
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.uint64), generate


@intrinsic
def int_at(_context: Any, data: Any, index: Any) -> Any:
    """An int32 of the array at an address, as an int64."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.sext(builder.load(_item(builder, arguments, 32)), ir.IntType(64))

    return types.int64(types.int64, types.int64), generate


def _make_put(bits: int) -> Any:
    @intrinsic
    def put(_context: Any, data: Any, index: Any, value: Any) -> Any:
        def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            value = arguments[2]
            if bits < value.type.width:
                value = builder.trunc(value, ir.IntType(bits))
            builder.store(value, _item(builder, arguments, bits))
            return target.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), generate

    return put


put_int8, put_int32, put_int64 = (_make_put(bits) for bits in (8, 32, 64))
"""Write an item of the array at an address: `put_int32(data, index, value)`."""


@intrinsic
def prefetch(_context: Any, data: Any, at: Any) -> Any:
    """Have the memory at an offset from an address at hand soon."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        called = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        address = _at_address(builder, arguments, 8)
        builder.call(called, [address, number(0), number(3), number(1)])
        return target.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def trailing_zeros(_context: Any, word: Any) -> Any:
    """How many of the lowest bits of a word that is not 0 are 0."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate
