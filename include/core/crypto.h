/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256: the processor's SHA instructions where it has them, else libsodium, which only client/core/crypto.c and
 * sign.c include.
 */
#ifndef EL_CORE_CRYPTO_H
#define EL_CORE_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

struct el_sha256 {
    _Alignas(16) uint8_t state[128]; /* opaque */
};

void el_sha256_begin(struct el_sha256 *ctx);
void el_sha256_add(struct el_sha256 *ctx, const void *data, size_t len);
void el_sha256_end(struct el_sha256 *ctx, uint8_t digest[32]);
void el_sha256(const void *data, size_t len, uint8_t digest[32]);
/* The portable version alone, for tests. */
void el_sha256_portable(const void *data, size_t len, uint8_t digest[32]);
/* Lower-case hex; text[2 * len + 1]. */
void el_hex(char *text, const void *data, size_t len);

#endif
