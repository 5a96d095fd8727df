/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed records of __evlog_access: keys that seal them, and the records as bytes. docs/format.md section 17; reasons:
 * docs/decisions/0026-users-and-rules-are-sealed.md. No I/O here; any thread.
 *
 *   key     0 1 version (2)   1 1 zero   2 8 id of the sealing key   10 12 nonce   22 ciphertext of the name, 16 tag
 *   value   0 1 version (2)   1 1 zero   2 12 nonce   14 ciphertext of 256 bytes, 16 tag
 *
 * AES-256-GCM. The text of a name is a u16 length, the record's plain key, and zeros up to a multiple of 64; that of a
 * value is a u16 length, the plain value, and zeros up to 256: what is sealed does not tell what it is by its length.
 *
 * A name has one sealed form under a key, so that compaction finds records of one name: its nonce is an HMAC of the
 * plain key, under a subkey of its own. Two names share a nonce with a chance below 2^-64 among 2^16. Nonces of values
 * are random: a key may seal 2^32 of them before the chance that two are alike exceeds 2^-32 (NIST SP 800-38D, 8.3).
 */
#ifndef EL_FORMAT_ACCESS_SEAL_H
#define EL_FORMAT_ACCESS_SEAL_H

#include <core/aead.h>
#include <core/assert.h>
#include <core/err.h>
#include <stdbool.h>

#define EL_ACCESS_KEYS_DIR "keys"
#define EL_ACCESS_KEYS_NAME "access.key"
#define EL_ACCESS_KEYS_FILE EL_ACCESS_KEYS_DIR "/" EL_ACCESS_KEYS_NAME /* in a data directory */
#define EL_ACCESS_KEYS_MAX 16u
#define EL_ACCESS_KEYS_TEXT_MAX (4u << 10) /* bytes of a file of keys */
#define EL_ACCESS_KEY_ID_LEN 8u
#define EL_ACCESS_KEY_ID_TEXT (2u * EL_ACCESS_KEY_ID_LEN + 1u)

#define EL_ACCESS_SEALED_VERSION 2u
#define EL_ACCESS_NAME_MAX 1022u /* bytes of a plain key */
#define EL_ACCESS_VALUE_MAX 254u /* bytes of a plain value */
#define EL_ACCESS_NAME_UNIT 64u  /* text of names is a multiple of it */
#define EL_ACCESS_NAME_HEAD_LEN (2u + EL_ACCESS_KEY_ID_LEN + EL_AEAD_NONCE_LEN)
#define EL_ACCESS_VALUE_HEAD_LEN (2u + EL_AEAD_NONCE_LEN)
#define EL_ACCESS_VALUE_TEXT_LEN (2u + EL_ACCESS_VALUE_MAX)
#define EL_ACCESS_SEALED_NAME_MAX (EL_ACCESS_NAME_HEAD_LEN + 2u + EL_ACCESS_NAME_MAX + EL_AEAD_TAG_LEN)
#define EL_ACCESS_SEALED_VALUE_LEN (EL_ACCESS_VALUE_HEAD_LEN + EL_ACCESS_VALUE_TEXT_LEN + EL_AEAD_TAG_LEN)
EL_STATIC_ASSERT((2u + EL_ACCESS_NAME_MAX) % EL_ACCESS_NAME_UNIT == 0, "the longest name fills its text");

/* A key, and what it is used by. */
struct el_access_key {
    uint8_t secret[EL_AEAD_KEY_LEN];
    uint8_t id[EL_ACCESS_KEY_ID_LEN]; /* says nothing of the secret */
    uint8_t nonce_key[EL_AEAD_KEY_LEN], name_key[EL_AEAD_KEY_LEN], value_key[EL_AEAD_KEY_LEN];
};

/* The first one seals, all open. */
struct el_access_keys {
    uint32_t count; /* 0: there is none */
    struct el_access_key keys[EL_ACCESS_KEYS_MAX];
};

void el_access_key_init(struct el_access_key *key, const uint8_t secret[EL_AEAD_KEY_LEN]);
void el_access_key_id_text(char text[EL_ACCESS_KEY_ID_TEXT], const uint8_t id[EL_ACCESS_KEY_ID_LEN]);

/* The text of a file: a key a line, 64 digits of hex; empty lines, and those that begin with #, say nothing.
 * returns 0 | EVLOG_ERR_MALFORMED, _LIMIT with a text that shows nothing of a key */
int el_access_keys_parse(struct el_slice text, struct el_access_keys *keys, struct el_error *err);
/* The same way back. text[EL_ACCESS_KEYS_TEXT_MAX]; returns its length */
size_t el_access_keys_text(const struct el_access_keys *keys, char *text);
/* Put those of `first` in front, in their order; what is there already is there once. returns 0 | EVLOG_ERR_LIMIT */
int el_access_keys_merge(struct el_access_keys *keys, const struct el_access_keys *first);

/* Is this a record's key as it is sealed, by its first byte? Of a newer version as well. */
static inline bool el_access_is_sealed(struct el_slice name)
{
    return name.len > 0 && name.data[0] >= EL_ACCESS_SEALED_VERSION;
}
/* Is it sealed by this key? */
bool el_access_sealed_by(struct el_slice name, const struct el_access_key *key);

/* Bytes of the sealed form of a plain key of so many. */
size_t el_access_sealed_name_len(size_t plain_len);
/* Seal a plain key of 0 .. EL_ACCESS_NAME_MAX bytes. sealed[el_access_sealed_name_len()]; the same bytes each time.
 * returns 0 | EVLOG_ERR_NO_MEMORY */
int el_access_seal_name(const struct el_access_key *key, struct el_slice plain, uint8_t *sealed);
/* Seal the value of a record with this sealed key. nonce: random, for this value alone
 * sealed[EL_ACCESS_SEALED_VALUE_LEN]; returns 0 | EVLOG_ERR_NO_MEMORY */
int el_access_seal_value(const struct el_access_key *key, struct el_slice name, const uint8_t nonce[EL_AEAD_NONCE_LEN],
                         struct el_slice plain, uint8_t *sealed);

/* A record as it was sealed. */
struct el_access_opened {
    struct el_slice key, value; /* in the memory below; value.data NULL: the record ends what the key says */
    uint8_t name_text[2u + EL_ACCESS_NAME_MAX], value_text[EL_ACCESS_VALUE_TEXT_LEN];
};

/* Open a record that el_access_is_sealed(). value.data NULL stays so.
 *
 * returns  0 | EVLOG_ERR_NOT_FOUND none of the keys has sealed it | EVLOG_ERR_CORRUPT it is not what was sealed there |
 *          EVLOG_ERR_FORMAT a newer evlog has sealed it | EVLOG_ERR_NO_MEMORY
 */
int el_access_open(const struct el_access_keys *keys, struct el_slice name, struct el_slice value,
                   struct el_access_opened *opened);

#endif
