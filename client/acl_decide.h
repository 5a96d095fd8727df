/* SPDX-License-Identifier: Apache-2.0
 *
 * Which rule decides a question, out of those that are about its resource. Pure functions; any thread. The broker's own
 * decision is broker/auth/auth_decide.c, and tests/unit/auth/test_explain.c holds the two against each other.
 */
#ifndef EL_CLIENT_ACL_DECIDE_H
#define EL_CLIENT_ACL_DECIDE_H

#include <evlog/access.h>

/* Of the broker. */
struct acl_settings {
    bool enabled;       /* the authorizer */
    bool known;         /* this client may see the other two */
    bool is_super;      /* super.users names the principal */
    bool allow_if_none; /* allow.everyone.if.no.acl.found */
};

/* Does super.users, principals with semicolons between them, name this one? */
bool acl_names(const char *super_users, const char *principal);

/* Decide.
 *
 * rules   [count] about the question's resource; put into another order, for answer->others to point at
 * answer  out; what it points to is in rules
 */
void acl_decide(const struct evlog_acl_question *question, const struct acl_settings *settings, struct evlog_acl *rules,
                size_t count, struct evlog_acl_answer *answer);

#endif
