"""Encrypts the files of the spool, where `encrypt_spool` is set.

Each file has a key of its own, derived from the secret of the service account and a random salt.
There is no key to store or to configure, and the secret gives access to the same data at Mixpanel
anyway. A file that was encrypted with another secret is ignored, and its window is fetched again.

AES-256-GCM over the whole file, in chunks as they arrive. NIST SP 800-38D allows 64 GiB for a key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...errors import ConfigError, TruncatedError

_NONCE = bytes(12)
"""Always the same, because no two files have the same key."""
_SALT_BYTES = 16


class Seal(NamedTuple):
    """What it takes, beside the secret, to decrypt a file."""

    salt: str
    """Hexadecimal; the key of the file is derived from it."""
    tag: str
    """Hexadecimal; authenticates the content."""
    secret_id: str
    """Tells whether the secret is the one that the file was encrypted with."""


class SpoolCipher:
    """Encrypts and decrypts files with keys derived from a secret."""

    def __init__(self, secret: str) -> None:
        """Prepare for a secret.

        Raises:
            ConfigError: the package `cryptography` is missing.
        """
        try:
            # it takes long to import, and few need it
            from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: F401, PLC0415
        except ImportError:
            raise ConfigError(
                "encrypt_spool needs the package cryptography: "
                "pip install 'mixpanel-source[encryption]'"
            ) from None
        self._secret = secret.encode()
        self.secret_id = self._derive(b"", purpose=b"id", length=8).hex()

    def encryptor(self) -> Encryptor:
        """What encrypts a new file."""
        salt = os.urandom(_SALT_BYTES)
        return Encryptor(self._cipher(salt, None).encryptor(), salt, self.secret_id)

    def decrypt(self, chunks: Iterator[bytes], seal: Seal) -> Iterator[bytes]:
        """Decrypt a file.

        Raises:
            TruncatedError: at the end, if it is not what was encrypted.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above

        cipher = self._cipher(bytes.fromhex(seal.salt), bytes.fromhex(seal.tag))
        decryptor = cipher.decryptor()
        for chunk in chunks:
            yield decryptor.update(chunk)
        try:
            decryptor.finalize()
        except InvalidTag:
            raise TruncatedError("an encrypted file changed on disk. Run again.") from None

    def _cipher(self, salt: bytes, tag: bytes | None) -> Any:  # noqa: ANN401 - imported late
        from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.ciphers.algorithms import AES256  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.modes import GCM  # noqa: PLC0415

        key = self._derive(salt, purpose=b"file", length=32)
        return Cipher(AES256(key), GCM(_NONCE, tag))

    def _derive(self, salt: bytes, *, purpose: bytes, length: int) -> bytes:
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        info = b"mixpanel-source spool " + purpose
        return HKDF(SHA256(), length, salt, info).derive(self._secret)


class Encryptor:
    """Encrypts one file."""

    def __init__(self, context: Any, salt: bytes, secret_id: str) -> None:  # noqa: ANN401 - of a package that is imported late
        self._context = context
        self._salt = salt
        self._secret_id = secret_id

    def update(self, chunk: bytes) -> bytes:
        """The next bytes, encrypted; as many as were given."""
        encrypted: bytes = self._context.update(chunk)
        return encrypted

    def seal(self) -> Seal:
        """End the file."""
        self._context.finalize()
        return Seal(self._salt.hex(), self._context.tag.hex(), self._secret_id)
