/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed fields in commands: --keys DIR and --master FILE, or EVLOG_KEYS__STORE and EVLOG_KEYS__MASTER_FILE, name a key
 * store; --seal PATH --subject NAME seal what is published; with a key store, what is read is opened.
 */
#ifndef EVLOG_TOOLS_SEALING_H
#define EVLOG_TOOLS_SEALING_H

#include "cli.h"

struct sealing {
    struct cli *cli;
    const char *keys, *master; /* as they were given, or NULL */
    const char *subject;
    struct cli_list paths;         /* of fields to seal; "." is all of the data */
    struct evlog_key_store *store; /* NULL: none was named */
    struct evlog_sealed sealed;    /* of the event that was sealed last */
    struct evlog_opened opened;    /* of the event that was opened last */
    struct evlog_event event;      /* a copy of it */
    struct el_buffer value;        /* of that copy */
};

#define SEALING_KEYS_OPTIONS(s)                                                                                        \
    {"keys", 0, CLI_TEXT, &(s)->keys, "DIR", "key store of sealed fields (EVLOG_KEYS__STORE)"},                        \
    {                                                                                                                  \
        "master", 0, CLI_TEXT, &(s)->master, "FILE", "master key of the key store (where it was put last)"             \
    }
#define SEALING_SEAL_OPTIONS(s)                                                                                        \
    {"seal", 0, CLI_LIST, &(s)->paths, "PATH", "field of JSON data to be sealed, as customer.name; . is all of it"},   \
    {                                                                                                                  \
        "subject", 0, CLI_TEXT, &(s)->subject, "NAME", "whom the sealed fields are about"                              \
    }

/* Open the key store that was named, if any.
 *
 * needed   it is an error when none was
 * returns  CLI_OK | exit code, told
 */
int sealing_open(struct sealing *s, struct cli *cli, bool needed);
/* The same for what seals: --seal, --subject and a key store belong together. */
int sealing_open_to_seal(struct sealing *s, struct cli *cli);
void sealing_close(struct sealing *s);

/* Is there anything to be sealed? */
bool sealing_wanted(const struct sealing *s);
/* Seal the data of an event; *data is replaced, and valid until the next call. returns 0 or a library code */
int sealing_seal(struct sealing *s, struct evlog_bytes key, const char *id, struct evlog_bytes *data,
                 struct evlog_failure *failure);

/* Open the data of an event; without a key store it stays as it is. *data is valid until the next call.
 * returns CLI_OK | exit code, told with the event's place */
int sealing_open_data(struct sealing *s, const struct evlog_event *event, struct evlog_bytes id,
                      struct evlog_bytes *data);
/* The same for the value of an event: *event is replaced by a copy, valid until the next call. */
int sealing_open_event(struct sealing *s, const struct evlog_event **event);

#endif
