/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings that a thing carries on top of defaults: those of a topic (topic_config.h) and those of a work group
 * (group_config.h). A table has a row for each setting; a struct overrides has the values that differ, and is the first
 * member of a plain struct that may be copied by assignment. Pure functions, any thread.
 *
 * A value is a number; a setting with choices has the index of the choice, a DOUBLE millionths. A TEXT lies behind the
 * numbers, and its number is its length. The users of this file give the functions their names and types.
 */
#ifndef EL_CONFIG_OVERRIDE_H
#define EL_CONFIG_OVERRIDE_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>

#define OVERRIDE_ROWS_MAX 40
#define OVERRIDE_VALUE_TEXT_MAX 32  /* a number or choice as text, with its NUL */
#define OVERRIDE_NAMES_TEXT_MAX 512 /* names of settings for a line of the log, with its NUL */

/* Numbers as DescribeConfigs has them on the wire, but for TEXT: see override_wire_type(). */
enum override_type {
    OVERRIDE_BOOLEAN = 1,
    OVERRIDE_STRING = 2, /* one of the choices */
    OVERRIDE_INT = 3,
    OVERRIDE_LONG = 5,
    OVERRIDE_DOUBLE = 6,
    OVERRIDE_LIST = 7,
    OVERRIDE_TEXT = 32, /* anything that the table's check takes */
};

enum override_behaviour {
    OVERRIDE_HONOURED, /* evlogd does what it says */
    OVERRIDE_FIXED,    /* only the default is taken */
    OVERRIDE_SHOWN,    /* any legal value is kept and shown; no effect */
};

/* Where an effective value comes from; numbers as DescribeConfigs has them on the wire. */
enum override_source {
    OVERRIDE_FROM_TOPIC = 1,   /* the topic's own */
    OVERRIDE_FROM_BROKER = 4,  /* evlogd's configuration */
    OVERRIDE_FROM_DEFAULT = 5, /* the table */
    OVERRIDE_FROM_GROUP = 8,   /* the group's own */
};

struct override_row {
    const char *name;
    const char *alias;   /* a second name of the same setting; "" when there is none */
    const char *choices; /* words separated by '|'; "" when there are none; of a TEXT the default */
    const char *doc;     /* SHOWN settings say why they have no effect */
    int64_t default_value;
    int64_t min, max; /* inclusive; of a TEXT's length */
    enum override_type type;
    enum override_behaviour behaviour;
};

/* A value that people will try and that needs more than what is allowed as an answer. */
struct override_refusal {
    int id;
    const char *value;
    const char *why;
};

struct override_table {
    const char *noun; /* "topic setting" */
    const struct override_row *rows;
    int count;
    enum override_source own;                   /* source of what is overridden */
    const struct override_refusal *refusals;    /* [refusal_count] */
    size_t refusal_count, texts_max;            /* bytes of texts behind the overrides */
    const char *(*known)(struct el_slice name); /* why a name that is none is refused; NULL: nothing to say */
    /* What no range can say; NULL takes all. returns 0 | EVLOG_ERR_INVALID_CONFIG with a text */
    int (*check)(int id, int64_t number, struct el_slice text, struct el_error *err);
};

/* First member of a struct whose next are texts_max bytes of texts, each with a NUL behind it, in order of rows. */
struct overrides {
    uint64_t overridden;              /* bit id: value[id] is set here */
    int64_t value[OVERRIDE_ROWS_MAX]; /* 0 while not overridden */
};

/* Id of a name or alias, -1 when there is none. Case sensitive. */
int override_find(const struct override_table *table, struct el_slice name);
/* What a setting accepts, as the end of a sentence, into text[text_max]; returns text. */
const char *override_allowed(const struct override_row *row, char *text, size_t text_max);
/* A type as DescribeConfigs has it. */
int8_t override_wire_type(const struct override_row *row);

/* No overrides. */
void overrides_init(const struct override_table *table, struct overrides *set);
/* Override one setting; nothing changes on refusal. value: not NUL-terminated; data NULL (null on the wire) is refused;
 * not of this set. returns 0 | EVLOG_ERR_INVALID_CONFIG with a text that says what is allowed, or which name was
 * perhaps meant */
int overrides_set(const struct override_table *table, struct overrides *set, struct el_slice name,
                  struct el_slice value, struct el_error *err);
/* Add elements to a list, or take them away, starting from its effective value. */
struct override_list_change {
    struct el_slice name, value;
    bool add;
};
/* returns 0 | EVLOG_ERR_INVALID_CONFIG, nothing changes, as when the result or what is to be added is none of the
 * choices, and when the setting is no list */
int overrides_list(const struct override_table *table, struct overrides *set, const struct overrides *defaults,
                   const struct override_list_change *change, struct el_error *err);
/* Take an override back; no override is no error. returns 0 | EVLOG_ERR_INVALID_CONFIG unknown name */
int overrides_unset(const struct override_table *table, struct overrides *set, struct el_slice name,
                    struct el_error *err);

static inline bool overrides_has(const struct overrides *set, int id)
{
    return set != NULL && (set->overridden >> id & 1) != 0;
}
/* Effective number: set's, else that of defaults, else the table's. set and defaults may each be NULL. */
int64_t overrides_int(const struct override_table *table, const struct overrides *set, const struct overrides *defaults,
                      int id);
/* Effective text of a TEXT; lies in set, defaults or the table. */
struct el_slice overrides_text(const struct override_table *table, const struct overrides *set,
                               const struct overrides *defaults, int id);

/* What DescribeConfigs tells about one setting. */
struct override_entry {
    const struct override_row *setting;
    enum override_source source;
    bool is_default;                     /* not overridden */
    char value[OVERRIDE_VALUE_TEXT_MAX]; /* effective value, NUL-terminated; "" for a TEXT */
    struct el_slice text;                /* effective value: in value, or of a TEXT where it lies */
};
/* Iterate with id from 0 to table->count - 1. */
void overrides_describe(const struct override_table *table, const struct overrides *set,
                        const struct overrides *defaults, int id, struct override_entry *entry);

/* Names of the settings that have a value other than their default and change nothing in evlogd, separated by commas;
 * what before has too was said already (NULL: nothing). returns text[text_max], "" when there is none; cut at its end
 */
const char *overrides_without_effect(const struct override_table *table, const struct overrides *set,
                                     const struct overrides *before, char *text, size_t text_max);

/* Overrides as bytes: u32 little-endian count, then count times name NUL value NUL. By name and text, so that rows may
 * move between versions. returns 0 and *len | EVLOG_ERR_LIMIT out_max is too small */
int overrides_encode(const struct override_table *table, const struct overrides *set, uint8_t *out, size_t out_max,
                     size_t *len);
/* Read them back. A name or value that this version does not know is left out and logged, so that an older program can
 * read what a newer one stored. set is written over, with anything unless 0 is returned.
 * returns 0 | EVLOG_ERR_TRUNCATED | EVLOG_ERR_MALFORMED */
int overrides_decode(const struct override_table *table, struct overrides *set, const uint8_t *data, size_t len);

/* The same overrides with the same values. */
bool overrides_equal(const struct override_table *table, const struct overrides *a, const struct overrides *b);
/* Bytes of the set and its texts: what lies behind is never looked at. */
size_t overrides_len(const struct override_table *table, const struct overrides *set);

#endif
