/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may use a broker: users, which prove themselves by SCRAM, and access rules (ACLs), which give and take rights.
 *
 * Every function blocks for at most request.timeout.ms a request and may be called from any thread. Results lie in one
 * object, which its _free gives back with everything in it. These are Kafka's requests: all works against Apache Kafka
 * as well, where it is not said otherwise. Since 1.0.
 */
#ifndef EVLOG_ACCESS_H
#define EVLOG_ACCESS_H

#include <evlog/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- users -------------------------------------------------------------------------------------------------------- */

#define EVLOG_SCRAM_SHA_256 1
#define EVLOG_SCRAM_SHA_512 2

#define EVLOG_PASSWORD_LEN_MAX 1024 /* bytes */

struct evlog_user_key {
    int mechanism; /* EVLOG_SCRAM_SHA_256, EVLOG_SCRAM_SHA_512 */
    uint32_t iterations;
};
struct evlog_user {
    const char *name;                  /* "alice", whose principal is "User:alice" */
    const struct evlog_user_key *keys; /* [key_count] 1 or 2, by mechanism */
    size_t key_count;
};
struct evlog_user_list {
    const struct evlog_user *users; /* [user_count], by name */
    size_t user_count;
};

/* All users, or one. Passwords and what they are checked with are never told.
 *
 * name     NULL: all
 * list     written on success; free with evlog_user_list_free()
 * returns  0 | EVLOG_ERR_NOT_FOUND there is no such user | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_UNREACHABLE |
 *          EVLOG_ERR_NO_MEMORY
 */
int evlog_user_list(struct evlog_client *client, const char *name, struct evlog_user_list **list,
                    struct evlog_failure *failure);
void evlog_user_list_free(struct evlog_user_list *list);

struct evlog_user_options {
    size_t size; /* sizeof(struct evlog_user_options) */
    const char *name;
    const char *password;  /* 1 .. EVLOG_PASSWORD_LEN_MAX printable ASCII characters; never sent */
    const int *mechanisms; /* [mechanism_count] each once; none: both */
    size_t mechanism_count;
    uint32_t iterations; /* 4096 .. 1000000; 0: 8192 */
};
#define EVLOG_USER_OPTIONS_INIT                                                                                        \
    {                                                                                                                  \
        .size = sizeof(struct evlog_user_options)                                                                      \
    }

/* Make a user, or give one another password. Afterwards it has the mechanisms named and no other, so that no older
 * password is left; all in one change. The password is salted and hashed here, which takes milliseconds. What is sent
 * of it lets whoever listens in prove to be the user: use TLS, or the loopback address.
 *
 * returns  0 | EVLOG_ERR_ARGUMENT name, password, mechanisms or iterations cannot be: SASLprep, which makes other
 *          characters comparable, is not done, so they are refused | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_UNREACHABLE
 */
int evlog_user_set(struct evlog_client *client, const struct evlog_user_options *options,
                   struct evlog_failure *failure);

/* Remove a user with all its mechanisms. Its connections stay until their proof has to be renewed.
 *
 * returns  0 | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_UNREACHABLE
 */
int evlog_user_delete(struct evlog_client *client, const char *name, struct evlog_failure *failure);

/* --- rules -------------------------------------------------------------------------------------------------------- */

/* Numbers are Kafka's, and not in an enum: a broker may know more. */
#define EVLOG_ACL_ANY 1 /* in filters */

#define EVLOG_ACL_ALL 2 /* operations */
#define EVLOG_ACL_READ 3
#define EVLOG_ACL_WRITE 4
#define EVLOG_ACL_CREATE 5
#define EVLOG_ACL_DELETE 6
#define EVLOG_ACL_ALTER 7
#define EVLOG_ACL_DESCRIBE 8
#define EVLOG_ACL_CLUSTER_ACTION 9
#define EVLOG_ACL_DESCRIBE_CONFIGS 10
#define EVLOG_ACL_ALTER_CONFIGS 11
#define EVLOG_ACL_IDEMPOTENT_WRITE 12

#define EVLOG_ACL_TOPIC 2 /* resources */
#define EVLOG_ACL_GROUP 3
#define EVLOG_ACL_CLUSTER 4 /* its one name is "kafka-cluster" */
#define EVLOG_ACL_TRANSACTIONAL_ID 5

#define EVLOG_ACL_MATCH 2    /* patterns; in filters: every rule that is about a resource of this name */
#define EVLOG_ACL_LITERAL 3  /* one name, or "*" for all */
#define EVLOG_ACL_PREFIXED 4 /* all names that begin so */

#define EVLOG_ACL_DENY 2 /* permissions */
#define EVLOG_ACL_ALLOW 3

/* A rule; as a filter, of numbers EVLOG_ACL_ANY and of texts NULL fits all. */
struct evlog_acl {
    const char *principal; /* "User:alice"; "User:*" is everybody */
    const char *host;      /* address as text; "*" is every one */
    int operation;
    int permission;
    int resource;
    int pattern;
    const char *name; /* of the resource */
};
#define EVLOG_ACL_FILTER_INIT                                                                                          \
    {                                                                                                                  \
        .operation = EVLOG_ACL_ANY, .permission = EVLOG_ACL_ANY, .resource = EVLOG_ACL_ANY, .pattern = EVLOG_ACL_ANY   \
    }
#define EVLOG_ACL_COUNT_MAX 1000 /* of one change */

struct evlog_acl_list {
    const struct evlog_acl *acls; /* [acl_count], by principal, resource, name, pattern, permission, operation, host */
    size_t acl_count;
};

/* The rules that a filter fits.
 *
 * filter   NULL: all
 * list     written on success; free with evlog_acl_list_free()
 * returns  0 | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_KAFKA the authorizer is off | EVLOG_ERR_INVALID_REQUEST no filter
 *          can be like that | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_acl_list(struct evlog_client *client, const struct evlog_acl *filter, struct evlog_acl_list **list,
                   struct evlog_failure *failure);
void evlog_acl_list_free(struct evlog_acl_list *list);

/* Add rules; one that is there already stays. Rules that are sound are one change, even when others are refused.
 *
 * acls     [count], 1 .. EVLOG_ACL_COUNT_MAX
 * returns  0 all | the first refusal: EVLOG_ERR_INVALID_REQUEST there can be no such rule, EVLOG_ERR_POLICY the node
 *          has as many as it may have | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_KAFKA the authorizer is off |
 *          EVLOG_ERR_UNREACHABLE
 */
int evlog_acl_add(struct evlog_client *client, const struct evlog_acl *acls, size_t count,
                  struct evlog_failure *failure);

/* Remove rules that filters fit, in one change. A rule given as it is fits itself alone.
 *
 * filters        [count], 1 .. EVLOG_ACL_COUNT_MAX
 * removed_count  written on success; NULL: do not
 * returns        0 also when there was none | EVLOG_ERR_INVALID_REQUEST no filter can be like that, or they fit more
 *                than EVLOG_ACL_COUNT_MAX rules: nothing was removed | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_UNREACHABLE
 */
int evlog_acl_remove(struct evlog_client *client, const struct evlog_acl *filters, size_t count, size_t *removed_count,
                     struct evlog_failure *failure);

/* "Read", "DescribeConfigs", "Topic", "Prefixed", "Deny"; "Unknown" for other numbers. Static texts. */
const char *evlog_acl_operation_name(int operation);
const char *evlog_acl_resource_name(int resource);
const char *evlog_acl_pattern_name(int pattern);
const char *evlog_acl_permission_name(int permission);
/* The way back, whatever the case, with or without '-' and '_' between words; 0: there is none. */
int evlog_acl_operation_of(const char *name);
int evlog_acl_resource_of(const char *name);

/* --- which rule decides ------------------------------------------------------------------------------------------- */

enum evlog_acl_reason {
    EVLOG_ACL_BY_SETTING, /* the authorizer is off: everybody may everything */
    EVLOG_ACL_BY_SUPER,   /* super.users names the principal */
    EVLOG_ACL_BY_RULE,    /* a rule denies or allows it */
    EVLOG_ACL_BY_NO_RULE, /* rules are about the resource, and none of them allows it */
    EVLOG_ACL_BY_DEFAULT, /* no rule is about the resource: allow.everyone.if.no.acl.found */
};

struct evlog_acl_question {
    size_t size;           /* sizeof(struct evlog_acl_question) */
    const char *principal; /* "User:alice", no pattern */
    const char *host;      /* address as text; NULL: one that no rule names */
    int operation;         /* not EVLOG_ACL_ALL */
    int resource;
    const char *name; /* of the resource; of the cluster it is not looked at */
};
#define EVLOG_ACL_QUESTION_INIT                                                                                        \
    {                                                                                                                  \
        .size = sizeof(struct evlog_acl_question)                                                                      \
    }

struct evlog_acl_answer {
    bool allowed;
    bool settings_known; /* else this client may not see the broker's settings, which count as if they were defaults */
    enum evlog_acl_reason reason;
    const struct evlog_acl *rule;   /* of EVLOG_ACL_BY_RULE, else NULL */
    const struct evlog_acl *others; /* [other_count] rules of this principal or of everybody about the resource that
                                     * did not decide: for other operations or addresses, or less strong */
    size_t other_count;
};

/* Would a principal be allowed to do something, and what decides it? Asks for the rules and works it out here, in the
 * order that docs/security.md has; the broker decides by the same order. Topics of evlog's own ask for ClusterAction on
 * the cluster as well, which is a question of its own.
 *
 * answer   written on success; free with evlog_acl_answer_free()
 * returns  0 | EVLOG_ERR_ARGUMENT | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_acl_explain(struct evlog_client *client, const struct evlog_acl_question *question,
                      struct evlog_acl_answer **answer, struct evlog_failure *failure);
void evlog_acl_answer_free(struct evlog_acl_answer *answer);

#ifdef __cplusplus
}
#endif
#endif
