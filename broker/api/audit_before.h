/* SPDX-License-Identifier: Apache-2.0
 *
 * What was there before a change: the list `before` in the record of its outcome (docs/audit.md). Handlers tell it one
 * by one, before they answer; what is told of a request that no record is kept of is forgotten.
 *
 * Bounded as the parameters are: AUDIT_ITEMS_SHOWN_MAX items, AUDIT_BEFORE_LEN_MAX bytes; texts are cut, and values of
 * settings whose names sound like a secret are not shown.
 */
#ifndef EL_API_AUDIT_BEFORE_H
#define EL_API_AUDIT_BEFORE_H

#include <auth/auth.h>
#include <core/json_writer.h>
#include <net/request.h>

#define AUDIT_BEFORE_LEN_MAX 4096u

struct audit_before {
    uint32_t count;
    bool cut; /* not all that was told found room */
    struct el_buffer out;
    struct el_json_writer w; /* inside the list */
    uint8_t text[AUDIT_BEFORE_LEN_MAX];
};

/* A setting that has another value from now on. Names as the request's parameters have them. */
struct audit_before_setting {
    int8_t resource_type;
    struct el_slice resource_name, name;
    struct el_slice value; /* data NULL: it was not set */
};

/* These take the request that the change is made for. */
void audit_before_setting(struct request *request, const struct audit_before_setting *setting);
/* A rule that is gone from now on. */
void audit_before_rule(struct request *request, const struct auth_rule *rule);
/* A limit; value 0: there was none. */
void audit_before_limit(struct request *request, const struct quota_entity *entity, enum quota_kind kind, double value);

/* An empty list. */
void audit_before_init(struct audit_before *before);
/* Put it into a record, if there is anything; nothing is told any more. */
void audit_before_show(struct audit_before *before, struct el_json_writer *w);

#endif
