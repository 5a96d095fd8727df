/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in an el_sha256, and the ways to take whole blocks of 64 bytes into it.
 */
#ifndef SHA256_STATE_H
#define SHA256_STATE_H

#include <core/assert.h>
#include <core/crypto.h>
#include <stdbool.h>

#define SHA_BLOCK_LEN 64u
#define SHA_WIDE_LANES 16u

struct sha_own {
    uint32_t state[8];            /* a .. h */
    uint64_t len;                 /* bytes added */
    uint8_t block[SHA_BLOCK_LEN]; /* the len % 64 bytes that wait for more */
};

extern const uint32_t sha_round_keys[64];

void sha_own_begin(struct sha_own *own);
/* Of a message that was begun; NULL: libsodium does it. */
struct sha_own *sha_own_of(struct el_sha256 *ctx);

/* The processor's SHA instructions, on one message and on two that take turns. May be called where they are there. */
bool sha_ni_there(void);
void sha_ni_blocks(uint32_t state[8], const uint8_t *p, size_t count);
void sha_ni_blocks_two(uint32_t x_state[8], const uint8_t *x, uint32_t y_state[8], const uint8_t *y, size_t count);

/* Sixteen messages in the lanes of AVX-512, count blocks of each; words[i][lane] is word i of a state. */
struct sha_wide {
    _Alignas(64) uint32_t words[8][SHA_WIDE_LANES];
};
bool sha_wide_there(void);
void sha_wide_blocks(struct sha_wide *wide, const uint8_t *const p[SHA_WIDE_LANES], size_t count);

#endif
