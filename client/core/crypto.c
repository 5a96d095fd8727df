/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256; any thread, each context by one.
 *
 * 1. where the processor has the SHA instructions, blocks of 64 bytes go through sha_ni_blocks() (1.8 GB/s, as fast
 *    as openssl there, where portable code makes 0.33); many messages at once through sha256_many.c
 * 2. else libsodium does all; the tests hold one against the other
 *
 * Source: FIPS 180-4; Gulley and others, "Intel SHA Extensions", 2013 (order of the two state halves).
 */
#include "sha256_state.h"

#include <core/bytes.h>
#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/crypto_auth_hmacsha512.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/crypto_hash_sha512.h>
#include <sodium/utils.h>

struct sha_context {
    union {
        struct sha_own own;
        crypto_hash_sha256_state sodium;
    };
    bool is_own; /* which of them it is */
};

EL_STATIC_ASSERT(sizeof(struct sha_context) <= sizeof(((struct el_sha256 *)0)->state), "the context fits");

static struct sha_context *context_of(struct el_sha256 *ctx)
{
    return (struct sha_context *)(void *)ctx->state;
}

const uint32_t sha_round_keys[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void sha_own_begin(struct sha_own *own)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(own->state, start, sizeof(start));
    own->len = 0;
}

struct sha_own *sha_own_of(struct el_sha256 *ctx)
{
    struct sha_context *context = context_of(ctx);
    return context->is_own ? &context->own : NULL;
}

static void own_add(struct sha_own *own, const uint8_t *p, size_t len)
{
    size_t waiting = own->len % SHA_BLOCK_LEN;
    own->len += len;
    if (waiting > 0) {
        size_t part = EL_MIN(len, SHA_BLOCK_LEN - waiting);
        memcpy(own->block + waiting, p, part);
        p += part;
        len -= part;
        if (waiting + part < SHA_BLOCK_LEN) {
            return;
        }
        sha_ni_blocks(own->state, own->block, 1);
    }
    sha_ni_blocks(own->state, p, len / SHA_BLOCK_LEN);
    memcpy(own->block, p + len / SHA_BLOCK_LEN * SHA_BLOCK_LEN, len % SHA_BLOCK_LEN);
}

/* A bit 1, zeros, and the length in bits, up to a whole block. */
static void own_end(struct sha_own *own, uint8_t digest[32])
{
    uint8_t tail[2 * SHA_BLOCK_LEN] = {0x80};
    size_t waiting = own->len % SHA_BLOCK_LEN;
    size_t tail_len = (waiting < SHA_BLOCK_LEN - 8 ? SHA_BLOCK_LEN : 2 * SHA_BLOCK_LEN) - waiting;
    el_put_be64(tail + tail_len - 8, own->len * 8);
    own_add(own, tail, tail_len);
    EL_ASSERT(own->len % SHA_BLOCK_LEN == 0);
    for (size_t i = 0; i < 8; i++) {
        el_put_be32(digest + 4 * i, own->state[i]);
    }
}

static void begin(struct sha_context *ctx, bool is_own)
{
    ctx->is_own = is_own;
    if (is_own) {
        sha_own_begin(&ctx->own);
        return;
    }
    int err = crypto_hash_sha256_init(&ctx->sodium); /* it never fails, nor do the two below */
    EL_ASSERT(err == 0);
}

void el_sha256_begin(struct el_sha256 *ctx)
{
    begin(context_of(ctx), sha_ni_there());
}

void el_sha256_add(struct el_sha256 *ctx, const void *data, size_t len)
{
    struct sha_context *context = context_of(ctx);
    if (len == 0) {
        return;
    }
    if (context->is_own) {
        own_add(&context->own, data, len);
        return;
    }
    int err = crypto_hash_sha256_update(&context->sodium, data, len);
    EL_ASSERT(err == 0);
}

void el_sha256_end(struct el_sha256 *ctx, uint8_t digest[32])
{
    struct sha_context *context = context_of(ctx);
    if (context->is_own) {
        own_end(&context->own, digest);
        return;
    }
    int err = crypto_hash_sha256_final(&context->sodium, digest);
    EL_ASSERT(err == 0);
}

void el_sha256(const void *data, size_t len, uint8_t digest[32])
{
    struct el_sha256 ctx;
    el_sha256_begin(&ctx);
    el_sha256_add(&ctx, data, len);
    el_sha256_end(&ctx, digest);
}

void el_sha256_portable(const void *data, size_t len, uint8_t digest[32])
{
    struct el_sha256 ctx;
    begin(context_of(&ctx), false);
    el_sha256_add(&ctx, data, len);
    el_sha256_end(&ctx, digest);
}

void el_hex(char *text, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
}

/* --- SHA-512 and HMAC, which are libsodium's alone ---------------------------------------------------------------- */

EL_STATIC_ASSERT(sizeof(crypto_auth_hmacsha256_state) <= sizeof(((struct el_hmac *)0)->state), "the context fits");
EL_STATIC_ASSERT(sizeof(crypto_auth_hmacsha512_state) <= sizeof(((struct el_hmac *)0)->state), "the context fits");

void el_sha512(const void *data, size_t len, uint8_t digest[64])
{
    crypto_hash_sha512(digest, data, len);
}

bool el_equal_always(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void el_hmac_begin(struct el_hmac *hmac, int bits, const void *key, size_t len)
{
    EL_ASSERT(bits == 256 || bits == 512);
    const uint8_t *bytes = len == 0 ? (const uint8_t *)"" : key;
    hmac->bits = (uint16_t)bits;
    if (bits == 256) {
        crypto_auth_hmacsha256_init((crypto_auth_hmacsha256_state *)(void *)hmac->state, bytes, len);
    } else {
        crypto_auth_hmacsha512_init((crypto_auth_hmacsha512_state *)(void *)hmac->state, bytes, len);
    }
}

void el_hmac_add(struct el_hmac *hmac, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    if (hmac->bits == 256) {
        crypto_auth_hmacsha256_update((crypto_auth_hmacsha256_state *)(void *)hmac->state, data, len);
    } else {
        crypto_auth_hmacsha512_update((crypto_auth_hmacsha512_state *)(void *)hmac->state, data, len);
    }
}

void el_hmac_end(struct el_hmac *hmac, uint8_t *digest)
{
    if (hmac->bits == 256) {
        crypto_auth_hmacsha256_final((crypto_auth_hmacsha256_state *)(void *)hmac->state, digest);
    } else {
        crypto_auth_hmacsha512_final((crypto_auth_hmacsha512_state *)(void *)hmac->state, digest);
    }
}
