# SPDX-License-Identifier: Apache-2.0
"""Records of __evlog_access as docs/format.md (section 17) describes them, opened without any of evlog's code."""
import hashlib
import hmac

from aes_gcm import open_sealed


def subkey(secret, label):
    return hmac.new(secret, label, hashlib.sha256).digest()


def key_id(secret):
    return subkey(secret, b"evlog access: id of the key, 1")[:8]


def keys_of(path):
    """Secrets by their ids, of a file of keys."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line and not line.startswith("#")]
    return {key_id(bytes.fromhex(line)): bytes.fromhex(line) for line in lines}


def plain_of(text, unit, least=0):
    size = int.from_bytes(text[:2], "little")
    plain, rest = text[2:2 + size], text[2 + size:]
    assert not any(rest) and len(text) == max(-(-(2 + size) // unit) * unit, least)
    return plain


def open_name(keys, sealed):
    """The plain key of a record."""
    assert sealed[0] == 2 and sealed[1] == 0
    secret = keys[sealed[2:10]]
    nonce, rest = sealed[10:22], sealed[22:]
    plain = plain_of(open_sealed(subkey(secret, b"evlog access: names, 1"), nonce, rest,
                                 b"__evlog_access name\0" + sealed[:10]), 64)
    assert subkey(subkey(secret, b"evlog access: nonces of names, 1"), plain)[:12] == nonce
    return plain


def open_value(keys, sealed_name, sealed):
    """The plain value of the record that has this sealed key."""
    assert sealed[0] == 2 and sealed[1] == 0 and len(sealed) == 286
    secret = keys[sealed_name[2:10]]
    return plain_of(open_sealed(subkey(secret, b"evlog access: values, 1"), sealed[2:14], sealed[14:],
                                b"__evlog_access value\0" + sealed_name), 256)
