/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of sagas: the records of a saga's stream, the fold of them, and steps.
 *
 * A saga's stream has records of these types, each a JSON object:
 *
 *     evlog.saga.step    an event was handled, or a part of the saga was undone: state, commands, undo, timers, status
 *     evlog.saga.stuck   the event in it could not be handled
 *     evlog.saga.held    the event in it came while the saga was stuck
 *     evlog.saga.retry   handle again what waits
 *     evlog.saga.cancel  undo it
 *
 * Their ids: s-HASH of the event that a step has handled, w-HASH of one that waits (w-HASH-VERSION when it is stuck
 * again), u-VERSION of a part that was undone after that version.
 */
#ifndef EL_CLIENT_SAGA_STATE_H
#define EL_CLIENT_SAGA_STATE_H

#include <core/arena.h>
#include <core/buffer.h>
#include <evlog/saga.h>
#include <evlog/stream.h>

#define EL_SAGA_STEP "evlog.saga.step"
#define EL_SAGA_STUCK "evlog.saga.stuck"
#define EL_SAGA_HELD "evlog.saga.held"
#define EL_SAGA_RETRY "evlog.saga.retry"
#define EL_SAGA_CANCEL "evlog.saga.cancel"

#define EL_SAGA_TOPIC_ROOM 250 /* of the name of a topic, with the NUL */
#define EL_SAGA_HASH_ROOM 33   /* of the hash that tells an event from others, with the NUL */
#define EL_SAGA_REASON_MAX 400 /* bytes kept of a reason */

struct el_saga_timer {
    const char *name;
    int64_t due_ms; /* since 1970 */
};

/* An event with what tells it from others. */
struct el_saga_note {
    struct evlog_saga_event event;
    char hash[EL_SAGA_HASH_ROOM]; /* empty: there is no event */
};

/* A list of commands that grows in an arena. */
struct el_saga_commands {
    struct evlog_saga_command *items; /* [count], room for more */
    size_t count, room;
};

struct el_saga_record {
    struct el_saga_note note; /* of steps without the data of the event */
    enum evlog_saga_status status;
    bool has_state;
    struct evlog_bytes state;
    const char *reason; /* NULL: none */
    struct el_saga_commands commands, undo;
    struct el_saga_timer *timers; /* [timer_count] */
    size_t timer_count;
    int64_t undone;                 /* commands taken off the saga's undo, the newest first; they are among commands */
    const char *until;              /* nothing more is undone before an event of this type; NULL: none is waited for */
    struct evlog_bytes correlation; /* of the chain of events that the saga belongs to; null: none */
};

struct evlog_saga_step {
    struct el_arena arena;
    struct el_saga_record record;
    size_t len;     /* bytes in it */
    int64_t now_ms; /* that timers count from */
    bool touched;   /* something was said */
    int err;        /* the first thing that failed */
};

struct evlog_saga {
    struct el_arena arena; /* of all that it holds */
    struct evlog_bytes id;
    enum evlog_saga_status status; /* never EVLOG_SAGA_STUCK: that is stuck */
    bool stuck;
    int64_t version, step_count, updated_ms;
    struct evlog_bytes state;
    const char *reason;
    struct el_saga_commands undo; /* the newest last */
    const char *until;
    struct evlog_bytes correlation; /* of its first record */
    struct el_saga_note *waiting;   /* [wait_count] */
    size_t wait_count, wait_room;
    bool seen; /* the event that was asked for is in the stream */
};

/* --- saga_record.c ------------------------------------------------------------------------------------------------ */

/* Append a record's text. returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_MALFORMED a text is not UTF-8 */
int el_saga_record_write(struct el_buffer *out, const struct el_saga_record *record);
/* Read one; everything is copied into the arena. returns 0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_NO_MEMORY */
int el_saga_record_read(struct el_arena *arena, struct evlog_bytes text, struct el_saga_record *record);
/* Copy a command, and count its bytes in *len. returns 0 | EVLOG_ERR_NO_MEMORY */
int el_saga_commands_add(struct el_arena *arena, struct el_saga_commands *list,
                         const struct evlog_saga_command *command);
size_t el_saga_command_len(const struct evlog_saga_command *command);
/* Copy an event. returns false: no memory */
bool el_saga_note_copy(struct el_arena *arena, struct el_saga_note *to, const struct el_saga_note *from);
bool el_saga_bytes_copy(struct el_arena *arena, struct evlog_bytes *bytes);

/* --- saga_fold.c -------------------------------------------------------------------------------------------------- */

/* The topic of sagas, or that of their timers: topic[EL_SAGA_TOPIC_ROOM]. returns 0 | EVLOG_ERR_ARGUMENT told */
int el_saga_topic(char *topic, const char *name, const char *suffix, struct evlog_failure *failure);
/* A saga that has no record. returns NULL: no memory */
struct evlog_saga *el_saga_new(struct evlog_bytes id);
/* Take a record in. returns 0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_NO_MEMORY; the saga is of no use then */
int el_saga_apply(struct evlog_saga *saga, const struct evlog_stream_event *event);
/* Read one, new or not.
 *
 * hash     saga->seen says whether an event of this hash is in it; NULL: not asked
 * returns  as evlog_saga_load(), but for EVLOG_ERR_NOT_FOUND
 */
int el_saga_read(struct evlog_client *client, const char *topic, struct evlog_bytes id, const char *hash,
                 struct evlog_saga **saga, struct evlog_failure *failure);
static inline bool el_saga_bytes_are(struct evlog_bytes bytes, const char *text)
{
    return bytes.data != NULL && bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* --- saga_step.c -------------------------------------------------------------------------------------------------- */

void el_saga_step_init(struct evlog_saga_step *step, int64_t now_ms);
void el_saga_step_free(struct evlog_saga_step *step);
/* Undo a part of the saga: commands, until and status of the record. returns 0 | EVLOG_ERR_NO_MEMORY */
int el_saga_unwind(const struct evlog_saga *saga, struct evlog_saga_step *step);

#endif
