/* SPDX-License-Identifier: Apache-2.0
 *
 * Notes on their way to a shard, each a message of its own: the shard sums them with its own, waits for no lock, and
 * gives the message back. There are AUDIT_RELAY_NOTES of them. What finds none is counted by its kind, and the next
 * note tells how many there were: so a crowd costs neither memory nor records, and its number is told all the same.
 */
#include <audit/audit_relay.h>

#include <core/alloc.h>
#include <core/assert.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define TEXT_LEN 1024u /* of a note; the log keeps fewer */

#define AUDIT_RELAY_MAGIC OBJ_MAGIC('a', 'u', 'r', 'l')

/* What is told of together when there is no message for it. */
enum kind { KIND_DENIED, KIND_FAILED, KIND_PROVED, KIND_COUNT };

struct carrier {
    struct io_message message;
    struct audit_relay *relay;
    struct audit_note note; /* its texts lie in text */
    char text[TEXT_LEN];
    _Atomic bool busy; /* the shard's */
};

struct audit_relay {
    uint32_t magic;
    struct io *io;
    struct audit *audit;
    const char *listener;
    pthread_mutex_t lock; /* of those who take a carrier */
    struct carrier carriers[AUDIT_RELAY_NOTES];
    _Atomic uint64_t uncarried[KIND_COUNT];
};

static enum kind kind_of(const struct audit_note *note)
{
    if (note->class == CONFIG_AUDIT_DENIALS) {
        return KIND_DENIED;
    }
    return strcmp(note->outcome, "ok") == 0 ? KIND_PROVED : KIND_FAILED;
}

/* --- on the shard ------------------------------------------------------------------------------------------------- */

static void tell_uncarried(struct audit_relay *a)
{
    static const struct audit_note notes[KIND_COUNT] = {
        [KIND_DENIED] = {.class = CONFIG_AUDIT_DENIALS, .outcome = "denied"},
        [KIND_FAILED] = {.class = CONFIG_AUDIT_AUTHENTICATION, .outcome = "failed"},
        [KIND_PROVED] = {.class = CONFIG_AUDIT_AUTHENTICATION, .outcome = "ok"},
    };
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        uint64_t count = atomic_exchange(&a->uncarried[kind], 0);
        if (count > 0) {
            struct audit_note note = notes[kind];
            note.listener = el_slice_str(a->listener);
            note.action = el_slice_str("others");
            note.count = count;
            audit_note(a->audit, &note);
        }
    }
}

static void on_message(struct io_message *message)
{
    struct carrier *carrier = EL_CONTAINER(message, struct carrier, message);
    struct audit_relay *a = carrier->relay;
    OBJ_CHECK(a, AUDIT_RELAY);
    EL_ASSERT(atomic_load(&carrier->busy));
    audit_note(a->audit, &carrier->note);
    tell_uncarried(a);
    atomic_store(&carrier->busy, false);
}

/* --- on the threads of the port ----------------------------------------------------------------------------------- */

static struct carrier *take_carrier(struct audit_relay *a)
{
    struct carrier *taken = NULL;
    pthread_mutex_lock(&a->lock);
    for (uint32_t i = 0; i < AUDIT_RELAY_NOTES && taken == NULL; i++) {
        if (!atomic_load(&a->carriers[i].busy)) {
            taken = &a->carriers[i];
            atomic_store(&taken->busy, true);
        }
    }
    pthread_mutex_unlock(&a->lock);
    return taken;
}

/* A copy, of what there is room for. */
static void keep(struct carrier *carrier, size_t *used, struct el_slice *text)
{
    EL_ASSERT(*used <= sizeof carrier->text);
    size_t len = EL_MIN(text->len, sizeof carrier->text - *used);
    if (len > 0) {
        memcpy(carrier->text + *used, text->data, len);
    }
    *text = el_slice_of(carrier->text + *used, len);
    *used += len;
}

void audit_relay_note(struct audit_relay *relay, const struct audit_note *note)
{
    OBJ_CHECK(relay, AUDIT_RELAY);
    EL_ASSERT(note->class == CONFIG_AUDIT_AUTHENTICATION || note->class == CONFIG_AUDIT_DENIALS);
    struct carrier *carrier = take_carrier(relay);
    if (carrier == NULL) {
        atomic_fetch_add(&relay->uncarried[kind_of(note)], 1);
        return;
    }
    size_t used = 0;
    carrier->note = *note;
    keep(carrier, &used, &carrier->note.address);
    keep(carrier, &used, &carrier->note.listener);
    keep(carrier, &used, &carrier->note.action);
    keep(carrier, &used, &carrier->note.resource);
    keep(carrier, &used, &carrier->note.detail);
    keep(carrier, &used, &carrier->note.principal);
    carrier->message.run = on_message;
    io_post(relay->io, &carrier->message);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

int audit_relay_create(struct io *io, struct audit *audit, const char *listener, struct audit_relay **relay)
{
    struct audit_relay *made = el_calloc(1, sizeof *made);
    if (made == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    made->magic = AUDIT_RELAY_MAGIC;
    made->io = io;
    made->audit = audit;
    made->listener = listener;
    pthread_mutex_init(&made->lock, NULL);
    for (uint32_t i = 0; i < AUDIT_RELAY_NOTES; i++) {
        made->carriers[i].relay = made;
    }
    *relay = made;
    return 0;
}

void audit_relay_destroy(struct audit_relay *relay)
{
    if (relay != NULL) {
        OBJ_CHECK(relay, AUDIT_RELAY);
        pthread_mutex_destroy(&relay->lock);
        relay->magic = 0;
        el_free(relay);
    }
}
