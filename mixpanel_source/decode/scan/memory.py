"""Bytes and words of memory at an address, for compiled functions.

These become single machine instructions, without any check: see the package for what keeps them
within bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

from .machine_code import enable_cache

intrinsic: Any = extending.intrinsic
"""Untyped: what it makes is called with other arguments than the function it decorates."""

PADDING = 512
"""Bytes that may be read, or written, past the end of a block or a text.

The longest access past the end is the comparison with the name of a property, which begins inside
the block: `key_table.MAX_KEY_BYTES` and the rest of a word, 263 bytes.
"""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call, and cache the machine code if possible.

    The compiled function releases the GIL, so threads run it in parallel.
    """
    dispatcher = njit(nogil=True)(function)
    enable_cache(dispatcher)
    return dispatcher


def _at_address(builder: Any, arguments: Any, bits: int) -> Any:
    """A pointer to `bits` bits at the sum of the first two arguments, an address and an offset."""
    return builder.inttoptr(builder.add(*arguments[:2]), ir.IntType(bits).as_pointer())


def _item(builder: Any, arguments: Any, bits: int) -> Any:
    """A pointer to an item of `bits` bits, from the address of an array and an index."""
    array = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
    return builder.gep(array, [arguments[1]])


@intrinsic
def byte_at(_context: Any, data: Any, at: Any) -> Any:
    """The byte at an offset from an address, as an int64 from 0 to 255."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.load(_at_address(builder, arguments, 8)), ir.IntType(64))

    return types.int64(types.int64, types.int64), generate


@intrinsic
def word_at(_context: Any, data: Any, at: Any) -> Any:
    """The eight bytes at an offset from an address, as a uint64 with the first byte lowest."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = builder.load(_at_address(builder, arguments, 64))
        # text begins at any byte; without this LLVM may assume a multiple of eight, and use
        # instructions that fault at other addresses
        word.align = 1
        return word

    return types.uint64(types.int64, types.int64), generate


@intrinsic
def put_word(_context: Any, data: Any, at: Any, word: Any) -> Any:
    """Write eight bytes at an offset from an address, the lowest byte first."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        # unaligned, as in `word_at`
        builder.store(arguments[2], _at_address(builder, arguments, 64)).align = 1
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.uint64), generate


@intrinsic
def int_at(_context: Any, data: Any, index: Any) -> Any:
    """An item of the int32 array at an address, as an int64.

    Items are aligned, because numpy aligns its arrays.
    """

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
"""Write an item of the array at an address: `put_int32(data, index, value)`.

The value is cut off, not checked: callers know that it fits.
"""


@intrinsic
def prefetch(_context: Any, data: Any, at: Any) -> Any:
    """Load the memory at an offset from an address into the cache, without waiting for it.

    Harmless at any address.
    """

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        called = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        address = _at_address(builder, arguments, 8)
        # for reading (0), to be kept in all levels of the cache (3), as data (1)
        builder.call(called, [address, number(0), number(3), number(1)])
        return target.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def trailing_zeros(_context: Any, word: Any) -> Any:
    """The number of zero bits below the lowest one bit of a word, which must not be 0."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        # the flag promises LLVM that the word is not 0, which saves a branch
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate
