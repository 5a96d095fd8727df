/* SPDX-License-Identifier: Apache-2.0
 *
 * What the audit column of wire/api.def means: one rule for each word, and a row whose word has none does not compile.
 *
 *   kind  CHANGE is recorded before it is made, and again with its outcome before it is acknowledged
 *         ACCESS is summed for each topic that is found for it (api_topic())
 *         PROOF is noted by its handler
 *   when  of a CHANGE that only some requests are: does this one change something? Else it is ACCESS or nothing
 */
#ifndef EL_API_AUDIT_RULES_H
#define EL_API_AUDIT_RULES_H

#include <net/request.h>

struct api;

enum api_audit_kind { API_AUDIT_NOTHING, API_AUDIT_CHANGE, API_AUDIT_ACCESS, API_AUDIT_PROOF };

typedef bool (*api_audit_when_fn)(struct api *api, const struct request *request, const void *message);

struct api_audit_rule {
    uint8_t kind; /* enum api_audit_kind */
    bool access;  /* topics that are found for it are counted */
    api_audit_when_fn when;
};

/* Metadata: of a topic that is made because it is asked for. */
bool api_audit_when_made(struct api *api, const struct request *request, const void *message);
/* OffsetCommit: by nobody who is a member, as one sets back a group. */
bool api_audit_when_alone(struct api *api, const struct request *request, const void *message);
/* RedriveTasks: a redrive is cancelled. */
bool api_audit_when_cancel(struct api *api, const struct request *request, const void *message);

#define API_AUDIT_nothing                                                                                              \
    {                                                                                                                  \
        API_AUDIT_NOTHING, false, NULL                                                                                 \
    }
#define API_AUDIT_change                                                                                               \
    {                                                                                                                  \
        API_AUDIT_CHANGE, false, NULL                                                                                  \
    }
#define API_AUDIT_change_if_made                                                                                       \
    {                                                                                                                  \
        API_AUDIT_CHANGE, false, api_audit_when_made                                                                   \
    }
#define API_AUDIT_change_if_alone                                                                                      \
    {                                                                                                                  \
        API_AUDIT_CHANGE, true, api_audit_when_alone                                                                   \
    }
#define API_AUDIT_change_if_cancel                                                                                     \
    {                                                                                                                  \
        API_AUDIT_CHANGE, false, api_audit_when_cancel                                                                 \
    }
#define API_AUDIT_access                                                                                               \
    {                                                                                                                  \
        API_AUDIT_ACCESS, true, NULL                                                                                   \
    }
#define API_AUDIT_proof                                                                                                \
    {                                                                                                                  \
        API_AUDIT_PROOF, false, NULL                                                                                   \
    }

#endif
