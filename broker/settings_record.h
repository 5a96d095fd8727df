/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings that somebody has changed on the machine, in the audit log: no request asked for them, so that nothing else
 * tells of them. A reload is told with what it has changed, a start with what decides who may do what.
 *
 *   1. the main thread compares, and keeps what is to be told
 *   2. shard 0 writes the record
 */
#ifndef EL_SETTINGS_RECORD_H
#define EL_SETTINGS_RECORD_H

#include <audit/audit.h>
#include <audit/audit_show.h>
#include <config/config.h>
#include <io/io.h>
#include <stdatomic.h>

struct settings_record {
    struct audit_op op;
    struct audit *audit;
    const char *action; /* "reload" or "start" */
    _Atomic bool busy;  /* from the comparison until the record is durable, or cannot be stored */
    bool cut;           /* not all settings found room */
    size_t settings_len;
    uint8_t settings[AUDIT_PARAMETERS_LEN_MAX]; /* JSON */
    uint8_t text[AUDIT_RECORD_LEN_MAX];         /* of the record */
};

/* What is to be told. Main thread.
 *
 * before   NULL: evlogd starts with those of after
 * returns  false: nothing, or the record before is still on its way; else it is to be handed to shard 0
 */
bool settings_record_make(struct settings_record *record, const struct config *before, const struct config *after);
/* Write it, on the shard's thread. A start that finds no audit log yet makes none. */
void settings_record_write(struct settings_record *record, struct audit *audit, struct store_shard *shard);

/* In place of that: nobody wants to be told. */
void settings_record_drop(struct settings_record *record);

#endif
