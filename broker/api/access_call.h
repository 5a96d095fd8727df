/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of users and rules as requests make them: records are gathered in the request's arena, sent as one change,
 * and answered when all of it holds, or none of it does.
 */
#ifndef EL_API_ACCESS_CALL_H
#define EL_API_ACCESS_CALL_H

#include <access/access.h>
#include <api/api.h>

struct access_call {
    struct api *api;
    struct request *request;
    struct access_op op;
    struct access_record *records; /* [record_max] */
    uint32_t record_count, record_max;
    void (*finish)(struct access_call *call); /* called once; op.error says how it went, 0 also with nothing to do */
};

/* returns false when the request has been refused, for want of memory */
bool access_call_init(struct access_call *call, struct api *api, struct request *request, uint32_t record_max,
                      void (*finish)(struct access_call *call));
/* One more record. returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_LIMIT record_max */
int access_call_put_rule(struct access_call *call, const struct auth_rule *rule, bool gone);
int access_call_put_user(struct access_call *call, const struct auth_user *user, bool gone);
/* value 0: it is gone */
int access_call_put_limit(struct access_call *call, const struct quota_entity *entity, enum quota_kind limit,
                          double value);
/* Send them. */
void access_call_start(struct access_call *call);
/* May rules be changed and shown? returns 0, or Kafka's code with a text in *why */
int16_t access_rules_enabled(const struct api *api, const char **why);
/* Kafka's code for what a change ended with. */
int16_t access_error(int error);
struct el_slice access_error_message(int error);

#endif
