/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256: the processor's SHA instructions where it has them, else libsodium, which only client/core/crypto.c and
 * sign.c include.
 */
#ifndef EL_CORE_CRYPTO_H
#define EL_CORE_CRYPTO_H

#include <core/bytes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_sha256 {
    _Alignas(16) uint8_t state[128]; /* opaque */
};

void el_sha256_begin(struct el_sha256 *ctx);
void el_sha256_add(struct el_sha256 *ctx, const void *data, size_t len);
void el_sha256_end(struct el_sha256 *ctx, uint8_t digest[32]);
void el_sha256(const void *data, size_t len, uint8_t digest[32]);

#define EL_SHA256_HEAD_MAX 32u

/* One of many messages, or a piece of one that is begun. */
struct el_sha256_job {
    struct el_sha256 *ctx; /* what goes on with head and data; NULL: the job is a whole message */
    struct el_slice head;  /* up to EL_SHA256_HEAD_MAX bytes before the data */
    struct el_slice data;
    uint8_t *digest; /* [32] the message ends here; NULL: it stays open in ctx */
};

/* The same as one after the other, but faster than that: messages do not wait for each other in the processor. Long
 * jobs should come first. Each ctx is in one job only; nothing that is read is written. */
void el_sha256_many(const struct el_sha256_job *jobs, size_t count);

/* How it is done; EL_SHA256_BEST but for tests, which hold one against the other. */
enum el_sha256_way { EL_SHA256_BEST, EL_SHA256_WIDE, EL_SHA256_TWO, EL_SHA256_ONE };
/* returns false when the processor cannot: nothing was done */
bool el_sha256_many_by(enum el_sha256_way way, const struct el_sha256_job *jobs, size_t count);
/* The portable version alone, for tests. */
void el_sha256_portable(const void *data, size_t len, uint8_t digest[32]);
void el_sha512(const void *data, size_t len, uint8_t digest[64]);
/* Equal, in a time that does not depend on where they differ. */
bool el_equal_always(const void *a, const void *b, size_t len);

/* HMAC with SHA-256 or SHA-512. A context whose key has been taken in may be copied, and used again. */
struct el_hmac {
    _Alignas(16) uint8_t state[448]; /* opaque */
    uint16_t bits;                   /* 256 or 512 */
};
void el_hmac_begin(struct el_hmac *hmac, int bits, const void *key, size_t len);
void el_hmac_add(struct el_hmac *hmac, const void *data, size_t len);
/* digest has bits / 8 bytes. */
void el_hmac_end(struct el_hmac *hmac, uint8_t *digest);
/* Lower-case hex; text[2 * len + 1]. */
void el_hex(char *text, const void *data, size_t len);

#endif
