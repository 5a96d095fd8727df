/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings that somebody has changed on the machine, in the audit log: no request asked for them, so that nothing else
 * tells of them. A reload is told with what it has changed, a start with what decides who may do what.
 *
 *   1. the main thread compares with what was told before, and keeps what is to be told
 *   2. shard 0 writes the record
 *
 * There is one record at a time. What changes while one is on its way is told with the next, which is made when it has
 * ended.
 */
#ifndef EL_SETTINGS_RECORD_H
#define EL_SETTINGS_RECORD_H

#include <audit/audit.h>
#include <audit/audit_show.h>
#include <config/config.h>
#include <config/config_request.h>
#include <io/io.h>
#include <stdatomic.h>

struct settings_record {
    struct audit_op op;
    struct audit *audit;
    struct config *told; /* the main thread's: what was told of, or needs no telling */
    bool starts;         /* the same: the next record is that of a start */
    bool due;            /* the same: something may not have been told of */
    const char *action;  /* "reload" or "start" */
    _Atomic bool busy;   /* from the comparison until the record is durable, or cannot be stored */
    bool cut;            /* not all settings found room */
    size_t settings_len;
    uint8_t settings[AUDIT_PARAMETERS_LEN_MAX]; /* JSON */
    uint8_t text[AUDIT_RECORD_LEN_MAX];         /* of the record */
};

/* All on the main thread but the last. */

/* The start of evlogd is due. returns 0 | EVLOG_ERR_NO_MEMORY */
int settings_record_open(struct settings_record *record, const struct config *cfg);
void settings_record_close(struct settings_record *record);
/* Changes that the record of their own request tells of are in cfg. */
void settings_record_skip(struct settings_record *record, const struct config *cfg, const struct config_change *changes,
                          size_t count);
/* What is in force now. returns true: it is to be handed to shard 0; false: nothing is, or not yet */
bool settings_record_make(struct settings_record *record, const struct config *cfg);
/* Has settings_record_make() something to tell that it has put off, or a start? */
bool settings_record_due(const struct settings_record *record);
/* Write it, on the shard's thread. A start that finds no audit log yet makes none. */
void settings_record_write(struct settings_record *record, struct audit *audit, struct store_shard *shard);

#endif
