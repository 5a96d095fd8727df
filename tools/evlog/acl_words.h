/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules as people write them, on the command line and in files:
 *
 *     PRINCIPAL OPERATION[,OPERATION...] RESOURCE NAME...
 *     User:billing read,describe topic orders invoices-*
 *
 * A name that ends in "*" stands for all names that begin so, "*" alone for all. The cluster has no name.
 */
#ifndef EVLOG_TOOLS_ACL_WORDS_H
#define EVLOG_TOOLS_ACL_WORDS_H

#include "cli.h"

#include <core/address.h>

#define ACL_WORDS_MAX 64   /* of one rule */
#define ACL_WORD_HOST (-1) /* the host, which is none of the words */

/* What is wrong, and with which word. */
struct acl_mistake {
    int word; /* index, or ACL_WORD_HOST */
    char text[320];
    char remedy[320]; /* "" none */
};

struct acl_words {
    const char *const *words; /* [count] from the principal on; rules point into them */
    int count;
    const char *host; /* address, written in any way; NULL: every one */
    int permission;   /* EVLOG_ACL_ALLOW, EVLOG_ACL_DENY; of filters EVLOG_ACL_ANY too */
    bool literal;     /* names are taken as they are */
};

/* Rules, or filters of rules. All zero is none. */
struct acl_set {
    struct evlog_acl *acls; /* [count] texts are borrowed from the words and from texts */
    size_t count;
    char **texts; /* [text_count] copies of prefixes and addresses */
    size_t text_count;
};

/* Add the rules that the words say; each operation of each name is one.
 *
 * returns  0 | EVLOG_ERR_ARGUMENT with mistake written | EVLOG_ERR_NO_MEMORY
 */
int acl_rules_add(struct acl_set *set, const struct acl_words *words, struct acl_mistake *mistake);
/* Add filters: words may be missing from the end on, and the first two may be "any". The same returns. */
int acl_filters_add(struct acl_set *set, const struct acl_words *words, struct acl_mistake *mistake);
/* Add one as it is; its texts are borrowed. returns 0 | EVLOG_ERR_NO_MEMORY */
int acl_set_put(struct acl_set *set, const struct evlog_acl *acl);
void acl_set_free(struct acl_set *set);

/* A word for an operation or a kind of resource. returns its number, 0 with mistake written */
int acl_operation_word(const char *word, size_t len, struct acl_mistake *mistake);
int acl_resource_word(const char *word, struct acl_mistake *mistake);
/* returns 0 | EVLOG_ERR_ARGUMENT with mistake written */
int acl_principal_check(const char *principal, struct acl_mistake *mistake);

/* An address of clients as the broker tells it. returns 0 | EVLOG_ERR_ARGUMENT with mistake written */
int acl_host_check(const char *host, char address[EL_ADDRESS_TEXT_MAX], struct acl_mistake *mistake);

/* A rule in these words, with "allow" or "deny" in front and "from HOST" behind when it is not for every address. */
void acl_say(struct el_buffer *out, const struct evlog_acl *acl);
/* What tells a name with a "*" in it from a beginning of names. */
const char *acl_name_mark(const struct evlog_acl *acl);
/* "describe-configs", "transactional-id". text[32] */
const char *acl_word(char *text, const char *name);
bool acl_same(const struct evlog_acl *a, const struct evlog_acl *b);

#endif
