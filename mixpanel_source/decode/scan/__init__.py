"""What is compiled to machine code, by numba, when it is first used.

The one place where a value is looked at byte by byte. Nothing here repairs, guesses or fails: what
is out of the ordinary is left to the modules that are slow and exact, which also read small blocks,
for loading this takes half a second, and compiling it, once a machine, ten.

Compiled functions take the block as an address, for an array would be counted in and out of every
call. They may read up to `PADDING` bytes past its end.
"""
