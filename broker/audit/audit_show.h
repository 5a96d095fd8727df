/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and answers as the audit log shows them, by the schemas of their messages, so that no request can be left
 * out: what was asked, without payloads and secrets, and which errors came back. Bounded in length; what is cut says
 * so. Pure functions.
 *
 * Left out: bytes and records of any kind (keys, events, salts, passwords' keys: only their length is told), the
 * metadata of commits, and values of settings whose names sound like a secret.
 */
#ifndef EL_AUDIT_AUDIT_SHOW_H
#define EL_AUDIT_AUDIT_SHOW_H

#include <core/json_writer.h>
#include <wire/schema.h>

#define AUDIT_VERSION 1           /* of the records */
#define AUDIT_TEXT_SHOWN_MAX 288u /* bytes of one text */
#define AUDIT_ITEMS_SHOWN_MAX 32u /* of one list */
#define AUDIT_PARAMETERS_LEN_MAX 4096u
#define AUDIT_ERRORS_SHOWN_MAX 8u

/* A text, cut at AUDIT_TEXT_SHOWN_MAX; what is not UTF-8, and control characters, become '?'. data NULL: null */
void audit_show_text(struct el_json_writer *w, struct el_slice text);
/* The same of who somebody is, which is told whole. */
void audit_show_principal(struct el_json_writer *w, struct el_slice principal);
/* The value of a setting of this name, as a text; only its length where the name sounds like a secret. */
void audit_show_setting(struct el_json_writer *w, struct el_slice name, struct el_slice value);
/* Nanoseconds since 1970, as RFC 3339 with milliseconds. */
void audit_show_time(struct el_json_writer *w, uint64_t wall_ns);
/* The members that all records begin with: v, id, time, class. */
void audit_show_head(struct el_json_writer *w, const char *id, const char *class, uint64_t wall_ns);

/* A request as one object.
 *
 * out      from el_buffer_fix() with AUDIT_PARAMETERS_LEN_MAX at least
 * cut      out: something was left out for want of room
 */
void audit_show_request(struct el_buffer *out, const struct el_schema *schema, int version, const void *message,
                        bool *cut);

/* What an answer says. */
struct audit_outcome {
    uint32_t count;  /* places for an error in it */
    uint32_t failed; /* with one */
    bool denied;     /* one of them for want of a right */
    int16_t first;   /* the first error, 0: none */
};
/* w NULL, or a writer inside an array: the first errors, each with what it is about. */
void audit_show_answer(struct el_json_writer *w, const struct el_schema *schema, int version, const void *message,
                       struct audit_outcome *outcome);
/* Every error of an answer becomes this one, with this text. */
void audit_answer_replace(const struct el_schema *schema, int version, void *message, int16_t error,
                          struct el_slice text);

#endif
