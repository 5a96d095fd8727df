/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's side of SASL for one connection: SCRAM-SHA-256 and -512, and PLAIN, which is offered over TLS only.
 * Bytes in, bytes out; no time, no network. A failed exchange says nothing of why but that it failed.
 *
 *   SCRAM   first message -> salt and iterations -> proof -> signature: SASL_DONE
 *   PLAIN   one message -> SASL_CHECK: sasl_check() on a worker, for it computes for milliseconds -> sasl_checked()
 *
 * For a name that no user has the exchange goes on as for one: with a salt that is always the same for the name, made
 * of a secret, and keys that no password fits. Source: RFC 5802, RFC 4616.
 */
#ifndef EL_AUTH_SASL_H
#define EL_AUTH_SASL_H

#include <auth/auth.h>

#define SASL_PLAIN EL_SCRAM_COUNT /* beside the mechanisms of enum el_scram_mechanism */
#define SASL_MAGIC OBJ_MAGIC('s', 'a', 's', 'l')
#define SASL_RANDOM_LEN 18u /* bytes that become the server's nonce */
#define SASL_SECRET_LEN 32u
#define SASL_ANSWER_MAX 512u
#define SASL_PASSWORD_MAX 1024u
#define SASL_BARE_MAX 1024u /* of what the proof covers of the client's first message */

enum sasl_result { SASL_MORE, SASL_CHECK, SASL_DONE, SASL_FAILED };

struct sasl {
    uint32_t magic;
    int mechanism;
    enum { SASL_FIRST, SASL_FINAL, SASL_CHECKING, SASL_ENDED } state;
    bool known; /* there is such a user */
    bool fits;  /* of a check: the password does */
    size_t name_len;
    char name[AUTH_USER_NAME_MAX + 1];
    struct auth_user user; /* or what stands for one; name unused */
    uint64_t births;       /* auth.user_births when it was looked up */
    size_t bare_len, first_len, nonce_len, own_nonce_len, gs2_len, password_len;
    char bare[SASL_BARE_MAX];
    char first[SASL_ANSWER_MAX];                             /* the server's first message */
    char nonce[EL_SCRAM_NONCE_MAX + EL_SCRAM_NONCE_LEN + 1]; /* both sides' */
    uint8_t gs2[4 + 3 * AUTH_USER_NAME_MAX];
    uint8_t password[SASL_PASSWORD_MAX];
};

struct sasl_answer {
    size_t len;
    uint8_t bytes[SASL_ANSWER_MAX];
};

/* "SCRAM-SHA-512", "PLAIN"; 0: there is none of this name. */
int sasl_find(struct el_slice name);
const char *sasl_name(int mechanism);
void sasl_begin(struct sasl *sasl, int mechanism);
/* Wipe it. */
void sasl_end(struct sasl *sasl);
/* Take a message.
 *
 * secret  that names without a user get their salts of; the same for the life of the node
 * random  SASL_RANDOM_LEN fresh bytes
 * answer  out: for MORE and DONE
 */
enum sasl_result sasl_take(struct sasl *sasl, const struct auth *auth, const uint8_t *secret, const uint8_t *random,
                           struct el_slice message, struct sasl_answer *answer);
/* Salt the password of PLAIN and compare; on any thread, while nothing else uses the exchange. */
void sasl_check(struct sasl *sasl);
/* Is a check under way? */
bool sasl_is_checked(const struct sasl *sasl);
/* The check is over. returns SASL_DONE | SASL_FAILED */
enum sasl_result sasl_checked(struct sasl *sasl);
/* The name that was claimed; proved after SASL_DONE. */
struct el_slice sasl_user(const struct sasl *sasl);

#endif
