# SPDX-License-Identifier: Apache-2.0
"""AES-256-GCM in plain Python: slow, small, and nobody else's code. Source: FIPS 197, NIST SP 800-38D."""


def _boxes():
    """The S-box, from inverses in GF(2^8) and the affine map."""
    exp, log, x = [0] * 512, [0] * 256, 1
    for i in range(255):
        exp[i] = exp[i + 255] = x
        log[x] = i
        x ^= (x << 1) ^ (0x11b if x & 0x80 else 0)
        x &= 0xff
    box = []
    for i in range(256):
        v = exp[255 - log[i]] if i else 0
        r = v
        for shift in range(1, 5):
            r ^= (v << shift | v >> 8 - shift) & 0xff
        box.append(r ^ 0x63)
    return box


SBOX = _boxes()


def _double(x):
    return (x << 1 ^ 0x1b) & 0xff if x & 0x80 else x << 1


def _expand(key):
    words, rcon = [list(key[4 * i:4 * i + 4]) for i in range(8)], 1
    for i in range(8, 60):
        word = list(words[-1])
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = _double(rcon)
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    return [sum(words[4 * r:4 * r + 4], []) for r in range(15)]


def _block(keys, block):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for r in range(1, 15):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if r < 14:
            mixed = []
            for c in range(0, 16, 4):
                col = state[c:c + 4]
                mixed += [_double(col[i]) ^ _double(col[(i + 1) % 4]) ^ col[(i + 1) % 4] ^ col[(i + 2) % 4]
                          ^ col[(i + 3) % 4] for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[r])]
    return bytes(state)


def _multiply(x, y):
    z = 0
    for i in range(127, -1, -1):
        if y >> i & 1:
            z ^= x
        x = x >> 1 ^ (0xe1 << 120 if x & 1 else 0)
    return z


def _blocks(data):
    return [data[i:i + 16].ljust(16, b"\0") for i in range(0, len(data), 16)]


def open_sealed(key, nonce, sealed, aad):
    """The text of ciphertext and tag; ValueError when the tag does not match."""
    keys, text = _expand(key), b""
    body, tag = sealed[:-16], sealed[-16:]
    h = int.from_bytes(_block(keys, bytes(16)), "big")
    y = 0
    lengths = (8 * len(aad)).to_bytes(8, "big") + (8 * len(body)).to_bytes(8, "big")
    for block in _blocks(aad) + _blocks(body) + [lengths]:
        y = _multiply(y ^ int.from_bytes(block, "big"), h)
    mask = _block(keys, nonce + (1).to_bytes(4, "big"))
    if bytes(a ^ b for a, b in zip(y.to_bytes(16, "big"), mask)) != tag:
        raise ValueError("the tag does not match")
    for i in range(0, len(body), 16):
        stream = _block(keys, nonce + (i // 16 + 2).to_bytes(4, "big"))
        text += bytes(a ^ b for a, b in zip(body[i:i + 16], stream))
    return text
