"""The part of decoding that numba compiles to machine code, when it is first used.

Values are examined byte by byte only here. Nothing here repairs or guesses: a line that is not
plain is left to the modules that are slow and exact. These also read small blocks, because loading
the compiled code takes half a second, all blocks while it is being compiled, see `compiling`, which
takes ten seconds, once on each machine, and all blocks if numba is not installed.

How memory is accessed, in all modules here:

- A compiled function takes a block as the address of its first byte, an int64, and offsets from it.
  Numba would count references to an array on every call, which costs more than the call does.
- Nothing checks bounds. A block is followed by `memory.PADDING` bytes of newlines. Every loop over
  bytes ends at a newline, so it ends in the block or at its edge; a read of eight bytes at once may
  go past the edge, into the padding.
- Words are little-endian, as on x86-64 and arm64: the first byte in memory is the lowest.

The machine code is cached for all modules together, see `cache_directory`: after an edit of any of
them, all of it is compiled again.
"""
