# SPDX-License-Identifier: Apache-2.0
"""XXH3-64 (seed 0) and CRC-32C, written from their specifications for the second reader of evlog's files.

Sources: the xxHash specification (doc/xxhash_spec.md of xxHash 0.8, "XXH3 Algorithm Overview"); CRC-32C is the
Castagnoli polynomial 0x1EDC6F41, reflected, as in RFC 3720.
"""

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1

P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
MX1, MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")
STRIPE_LEN = 64
SECRET_STEP = 8
STRIPES_IN_BLOCK = (len(SECRET) - STRIPE_LEN) // SECRET_STEP
BLOCK_LEN = STRIPE_LEN * STRIPES_IN_BLOCK
SMALL_LEN_MAX = 240
ACCUMULATORS = (P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1)


def u32(data, pos):
    return int.from_bytes(data[pos:pos + 4], "little")


def u64(data, pos):
    return int.from_bytes(data[pos:pos + 8], "little")


def fold(a, b):
    """The two halves of a 128-bit product, xored."""
    product = a * b
    return (product ^ product >> 64) & M64


def avalanche(h):
    h ^= h >> 37
    h = h * MX1 & M64
    return h ^ h >> 32


def avalanche_64(h):
    """The final mixing of XXH64."""
    h ^= h >> 33
    h = h * P64_2 & M64
    h ^= h >> 29
    h = h * P64_3 & M64
    return h ^ h >> 32


def rotate(value, count):
    return (value << count | value >> 64 - count) & M64


def swap32(value):
    return int.from_bytes(value.to_bytes(4, "little"), "big")


def swap64(value):
    return int.from_bytes(value.to_bytes(8, "little"), "big")


def tiny(data, n):
    """0 to 16 bytes."""
    if n > 8:
        low = u64(data, 0) ^ u64(SECRET, 24) ^ u64(SECRET, 32)
        high = u64(data, n - 8) ^ u64(SECRET, 40) ^ u64(SECRET, 48)
        return avalanche(n + swap64(low) + high + fold(low, high) & M64)
    if n >= 4:
        mixed = (u32(data, n - 4) + (u32(data, 0) << 32)) ^ u64(SECRET, 8) ^ u64(SECRET, 16)
        mixed ^= rotate(mixed, 49) ^ rotate(mixed, 24)
        mixed = mixed * MX2 & M64
        mixed ^= (mixed >> 35) + n
        mixed = mixed * MX2 & M64
        return mixed ^ mixed >> 28
    if n > 0:
        combined = data[n - 1] | n << 8 | data[0] << 16 | data[n >> 1] << 24
        return avalanche_64(combined ^ u32(SECRET, 0) ^ u32(SECRET, 4))
    return avalanche_64(u64(SECRET, 56) ^ u64(SECRET, 64))


def mix16(data, pos, secret_pos):
    return fold(u64(data, pos) ^ u64(SECRET, secret_pos), u64(data, pos + 8) ^ u64(SECRET, secret_pos + 8))


def small(data, n):
    """17 to 128 bytes."""
    h = n * P64_1
    for i in range((n - 1) // 32, -1, -1):
        h += mix16(data, 16 * i, 32 * i) + mix16(data, n - 16 * (i + 1), 32 * i + 16)
    return avalanche(h & M64)


def medium(data, n):
    """129 to 240 bytes."""
    h = n * P64_1
    for i in range(8):
        h += mix16(data, 16 * i, 16 * i)
    h = avalanche(h & M64)
    for i in range(8, n // 16):
        h += mix16(data, 16 * i, 16 * (i - 8) + 3)
    h += mix16(data, n - 16, 136 - 17)
    return avalanche(h & M64)


def secret_words(pos):
    return [u64(SECRET, pos + 8 * i) for i in range(8)]


STRIPE_SECRETS = [secret_words(SECRET_STEP * i) for i in range(STRIPES_IN_BLOCK)]
LAST_STRIPE_SECRET = secret_words(len(SECRET) - STRIPE_LEN - 7)
SCRAMBLE_SECRET = secret_words(len(SECRET) - STRIPE_LEN)


def accumulate(acc, data, pos, secret):
    for i in range(8):
        value = int.from_bytes(data[pos + 8 * i:pos + 8 * i + 8], "little")
        keyed = value ^ secret[i]
        acc[i ^ 1] += value
        acc[i] = acc[i] + (keyed & M32) * (keyed >> 32) & M64


def scramble(acc):
    for i in range(8):
        value = acc[i] & M64
        acc[i] = (value ^ value >> 47 ^ SCRAMBLE_SECRET[i]) * P32_1 & M64


def long(data, n):
    """More than 240 bytes."""
    acc = list(ACCUMULATORS)
    blocks = (n - 1) // BLOCK_LEN
    for block in range(blocks):
        for i in range(STRIPES_IN_BLOCK):
            accumulate(acc, data, block * BLOCK_LEN + i * STRIPE_LEN, STRIPE_SECRETS[i])
        scramble(acc)
    for i in range((n - 1 - blocks * BLOCK_LEN) // STRIPE_LEN):
        accumulate(acc, data, blocks * BLOCK_LEN + i * STRIPE_LEN, STRIPE_SECRETS[i])
    accumulate(acc, data, n - STRIPE_LEN, LAST_STRIPE_SECRET)
    h = n * P64_1
    for i in range(4):
        h += fold((acc[2 * i] & M64) ^ u64(SECRET, 11 + 16 * i), (acc[2 * i + 1] & M64) ^ u64(SECRET, 19 + 16 * i))
    return avalanche(h & M64)


def xxh3(data):
    n = len(data)
    if n <= 16:
        return tiny(data, n)
    if n <= 128:
        return small(data, n)
    return medium(data, n) if n <= SMALL_LEN_MAX else long(data, n)


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc_table()


def crc32c(data):
    crc = M32
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ M32
