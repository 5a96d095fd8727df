/* SPDX-License-Identifier: Apache-2.0
 *
 * The difference between what a file declares and what is at the broker, as changes in the order in which they are
 * made: topics, work groups, users, limits, rules; then what is taken away, rules first.
 */
#ifndef EVLOG_TOOLS_APPLY_PLAN_H
#define EVLOG_TOOLS_APPLY_PLAN_H

#include "apply_file.h"

enum apply_verb {
    APPLY_CREATE,    /* a topic */
    APPLY_GROW,      /* a topic */
    APPLY_SET,       /* settings of a topic or a group */
    APPLY_PASSWORD,  /* a user is made, or gets its password anew */
    APPLY_LIMIT,     /* limits of an entity */
    APPLY_ADD,       /* a rule */
    APPLY_RESET,     /* settings of a topic that the file does not name go back to their defaults */
    APPLY_DROP_RULE, /* as all below: the file does not declare it */
    APPLY_DROP_LIMIT,
    APPLY_DROP_USER,
    APPLY_DROP_TOPIC,
};

struct apply_change {
    enum apply_verb verb;
    const struct apply_item *item;  /* NULL of rules and of what is dropped */
    const char *name;               /* of what is changed; of a rule NULL */
    struct evlog_setting *settings; /* [setting_count] of APPLY_SET and APPLY_RESET; in the plan's arena */
    size_t setting_count;
    const struct evlog_acl *acl;
    const struct evlog_quota *quotas; /* [quota_count] of one entity; in the plan's arena */
    size_t quota_count;
    const char *text; /* what is told of it */
};

/* What may be taken away. */
struct apply_prune {
    bool settings, acls, quotas, users, topics;
};

struct apply_plan {
    struct el_arena arena;
    struct apply_change *changes; /* [change_count] */
    size_t change_count;
    size_t drop_count;  /* of them, those that take something away */
    bool new_passwords; /* of all users, not only of those that are made or changed */
    const char *self;   /* user that this client is, which is never dropped; NULL none */
    struct apply_prune prune;
    struct evlog_acl_list *acls; /* as they are at the broker; NULL not asked for */
    struct evlog_user_list *users;
    struct evlog_quota_list *quotas;
};

/* Look at the broker, work out the changes, and let the broker check those that it can.
 *
 * plan     settings and arena are initialised, all else is zero; free with apply_plan_free() whatever is returned
 * returns  CLI_OK | exit code, and has said why
 */
int apply_plan_make(struct cli *cli, struct apply_file *file, struct apply_plan *plan);
void apply_plan_free(struct apply_plan *plan);

#endif
