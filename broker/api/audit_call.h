/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log's place in the way of a request. dispatch.c asks here before it calls a handler.
 */
#ifndef EL_API_AUDIT_CALL_H
#define EL_API_AUDIT_CALL_H

#include <api/audit_before.h>
#include <api/audit_rules.h>
#include <audit/audit.h>

struct net_handshake;

/* The rule of a row of api.def, by its place there. */
const struct api_audit_rule *api_audit_rule_at(uint32_t index);

/* A request whose rule is to be kept: its first record is written, then run is called with it; its answer waits for the
 * second. Where that cannot be, and must (evlog.audit.required), run is called with request->unrecorded set, which
 * makes it find no right to anything, and the errors in its answer become the reason.
 *
 * returns  false: nothing of it is to be kept, or it has no right to anything at all; the caller runs it
 */
typedef void (*api_audit_run_fn)(struct api *api, struct request *request, const void *message);
bool api_audit_begin(struct api *api, struct request *request, const void *message, api_audit_run_fn run);

/* Where what was there before the change of a request is told; NULL: no record of it is kept. */
struct audit_before *api_audit_before(struct request *request);
/* Somebody wanted what they had no right to. */
void api_audit_denied(struct api *api, const struct request *request, int operation, int resource,
                      struct el_slice name);
/* A topic was found for a request that reads or writes it. */
void api_audit_access(struct api *api, const struct request *request, int operation, const struct topic *topic);
/* A proof of who somebody is has ended. name: that was claimed; outcome: "ok" or "failed" */
void api_audit_proof(struct api *api, const struct request *request, struct el_slice name, const char *mechanism,
                     const char *outcome);
/* The note of a proof by certificate, or of a handshake of TLS that failed. Pure; any thread.
 *
 * note  its texts lie in handshake, listener and texts
 */
struct api_audit_texts {
    char certificate[96];
    char agreed[64];
};
void api_audit_tls(const struct net_handshake *handshake, const char *listener, struct api_audit_texts *texts,
                   struct audit_note *note);
/* The same of one by certificate, and of a handshake of TLS that failed: net_config.shaken. */
void api_audit_handshake(void *arg, const struct net_handshake *handshake);

#endif
