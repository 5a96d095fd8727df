/* SPDX-License-Identifier: Apache-2.0
 *
 * From the name in a client's certificate to its principal: Kafka's ssl.principal.mapping.rules. Pure functions.
 *
 * Rules are tried in order; the first that fits gives the name. RULE:pattern/replacement/ with L or U behind it for
 * lower or upper case; $1 .. $9 in the replacement are the groups of the pattern. DEFAULT is the whole name. Patterns
 * are those of regular expressions that are needed here: characters, '.', [sets], (groups), ^ and $, and * + ? with a
 * lazy form each; a pattern fits when it fits the whole name, as in Kafka. Alternatives and counts are refused.
 */
#ifndef EL_CONFIG_PRINCIPAL_RULES_H
#define EL_CONFIG_PRINCIPAL_RULES_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>

struct principal_rules;

/* Parse the setting's text; "" is DEFAULT.
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG with a text that shows the rule | EVLOG_ERR_NO_MEMORY
 */
int principal_rules_parse(const char *text, struct principal_rules **rules, struct el_error *err);
void principal_rules_free(struct principal_rules *rules);

/* The principal of a name: "User:" and what the first fitting rule makes of it.
 *
 * rules    NULL: the whole name
 * returns  0 | EVLOG_ERR_NOT_FOUND no rule fits, or makes nothing of it | EVLOG_ERR_LIMIT too long, or a pattern that
 *          takes too long on it
 */
int principal_rules_apply(const struct principal_rules *rules, const char *name, char *principal, size_t principal_max);
/* Why a certificate names nobody; static texts. */
struct principal_refusal {
    const char *why;     /* a sentence */
    const char *failure; /* a word for it */
};
/* What a certificate calls its owner. */
struct principal_names {
    struct el_slice subject; /* DER */
    struct el_slice uri;     /* the first one of subjectAltName */
    uint32_t uri_count;
};
/* Which of them counts: the subject, unless this says the URI. */
void principal_rules_take_uri(struct principal_rules *rules, bool uri);
/* The principal of the name that counts. Of URIs there must be one, of characters that can be seen.
 *
 * returns  0 | a code of el_tls_name_text() or of the above, and why
 */
int principal_rules_of_names(const struct principal_rules *rules, const struct principal_names *names, char *principal,
                             size_t principal_max, struct principal_refusal *refusal);

#endif
