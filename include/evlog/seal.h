/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed fields: personal data of events, encrypted in the client before it is appended, with a key for each subject
 * (the person whom the data is about). Destroying the key erases the data from the log, its copies and its archive,
 * none of which is changed.
 *
 *     static const char *const personal[] = {"customer.name", "customer.email"};
 *     struct evlog_seal seal = EVLOG_SEAL_INIT;
 *     seal.subject = (struct evlog_bytes){"ada@example.org", 15};
 *     seal.key = order_key;       // of the stream, as it will be appended
 *     seal.id = event_id;         // evlog_event_id_make()
 *     seal.paths = personal;
 *     seal.path_count = 2;
 *     int rc = evlog_seal(keys, &seal, data, &sealed, &failure);
 *
 * AES-256-GCM. A ciphertext opens only where it was sealed: the same key of the stream, the same id of the event, the
 * same field. The topic is not bound, so that a copy of an event, an import or a dead letter opens as well. The bytes
 * are described in docs/format.md, the reasons in docs/sealed-fields.md.
 *
 * Keys lie in a key store (struct evlog_key_store): the one in a directory (evlog_key_dir_open()), or one of your own
 * in front of a key service. A key store is no part of a log and must never be archived with it.
 *
 * Thread safety: evlog_seal() and evlog_open() may be called from any thread, with one key store as well, when it
 * allows that; that of evlog_key_dir_open() does, and several processes may use its directory. Nothing here touches the
 * network but evlog_erase(); a key store may read and write files. Since 1.0.
 */
#ifndef EVLOG_SEAL_H
#define EVLOG_SEAL_H

#include <evlog/client.h>
#include <evlog/event.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EVLOG_KEY_ID_MAX 23        /* bytes of a key's id, the NUL counted: 22 characters of the url-safe base64 */
#define EVLOG_DATA_KEY_LEN 32      /* bytes of a data key */
#define EVLOG_SUBJECT_LEN_MAX 1024 /* bytes of a subject's name */
#define EVLOG_SEAL_FIELD_MAX 1000  /* sealed fields of one event */
#define EVLOG_SEAL_PATH_MAX 1024   /* bytes of a field's path */

/* --- key stores --------------------------------------------------------------------------------------------------- */

enum evlog_key_state {
    EVLOG_KEY_LIVE,
    EVLOG_KEY_DISABLED,  /* opens and seals nothing; can be restored */
    EVLOG_KEY_DESTROYED, /* gone; what is left is the fact */
};

/* What a store knows of a key, without the key itself. */
struct evlog_key_record {
    char id[EVLOG_KEY_ID_MAX]; /* random; also the pseudonym of the subject */
    enum evlog_key_state state;
    int64_t made_ms;    /* since 1970 */
    int64_t changed_ms; /* since 1970, when it was disabled or destroyed; 0: it is live */
    int64_t until_ms;   /* since 1970: disabled, and not to be destroyed before; else 0 */
    bool untold;        /* destroyed, and no log has been told yet: evlog_erase() is to be repeated */
};

/* A key in use. Wipe it when it has served. */
struct evlog_data_key {
    char id[EVLOG_KEY_ID_MAX];
    uint8_t bytes[EVLOG_DATA_KEY_LEN];
};

typedef int (*evlog_key_record_fn)(void *arg, const struct evlog_key_record *record);

struct evlog_key_store;

/* What a key store must be able to do. Every function returns 0 or a negative code, with the text in failure:
 * EVLOG_ERR_ERASED the key is disabled or destroyed, EVLOG_ERR_NOT_FOUND there is none, EVLOG_ERR_KEYS the store itself
 * is at fault (not there, another master key, damaged). A key that is not there must never be told as erased. */
struct evlog_key_store_calls {
    size_t size; /* sizeof(struct evlog_key_store_calls) */
    /* The key that a subject is sealed with. It is made when there is none, once, however many ask at a time. ERASED:
     * it is disabled */
    int (*take)(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_data_key *key,
                struct evlog_failure *failure);
    /* A key by its id. ERASED: record, never NULL, says since when. NOT_FOUND: this store has never had it */
    int (*find)(struct evlog_key_store *store, const char *id, struct evlog_data_key *key,
                struct evlog_key_record *record, struct evlog_failure *failure);
    /* What is known of a subject's key, also of one that is destroyed and untold. NOT_FOUND: nothing */
    int (*look)(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_key_record *record,
                struct evlog_failure *failure);
    /* Disable a subject's key. Disabled already: until_ms is the later of the two. NOT_FOUND: there is none */
    int (*disable)(struct evlog_key_store *store, struct evlog_bytes subject, int64_t until_ms,
                   struct evlog_key_record *record, struct evlog_failure *failure);
    /* Make a disabled key live again. ERASED: it is destroyed */
    int (*restore)(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_key_record *record,
                   struct evlog_failure *failure);
    /* Destroy a subject's key for good; destroyed and untold already: 0, too. The record is untold then */
    int (*destroy)(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_key_record *record,
                   struct evlog_failure *failure);
    /* The log has been told: the subject's name leads to nothing from now on. */
    int (*told)(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_failure *failure);
    /* Tell all keys, in any order; anything but 0 from fn ends it with that code. */
    int (*list)(struct evlog_key_store *store, evlog_key_record_fn fn, void *arg, struct evlog_failure *failure);
    void (*close)(struct evlog_key_store *store);
};
struct evlog_key_store {
    const struct evlog_key_store_calls *calls;
};
/* Close; NULL is allowed. */
void evlog_key_store_close(struct evlog_key_store *store);

/* --- the key store in a directory --------------------------------------------------------------------------------- */

/* Make a key store: a directory that only its owner may enter, and a master key in a file of its own, outside of it.
 *
 * path         must not be there, or be empty
 * master_path  a file with 64 hexadecimal digits that only its owner may read; made with a random key when it is not
 *              there
 * returns      0 | EVLOG_ERR_EXISTS there is a key store | EVLOG_ERR_ARGUMENT master_path lies inside path |
 *              EVLOG_ERR_KEYS the master key's file is no such file, or others may read it | EVLOG_ERR_IO and the like
 */
int evlog_key_dir_init(const char *path, const char *master_path, struct evlog_failure *failure);
/* Open one. Blocks on files only.
 *
 * master_path  NULL: where the master key was when it was made or rotated last
 * store        written on success; close with evlog_key_store_close()
 * returns      0 | EVLOG_ERR_KEYS no key store, another master key, or others may read the master key's file |
 *              EVLOG_ERR_NO_MEMORY
 */
int evlog_key_dir_open(const char *path, const char *master_path, struct evlog_key_store **store,
                       struct evlog_failure *failure);
/* Wrap every key anew, under another master key. Others may go on using the store meanwhile. Interrupted, the same call
 * goes on; until it has succeeded keep both master keys' files.
 *
 * store        of evlog_key_dir_open(), with the old master key or, to go on, the new one
 * master_path  as for evlog_key_dir_init(), made when it is not there; NULL: the master key stays, what wraps the keys
 *              is made anew, so that remains of destroyed ones on the disk open no more
 * count        NULL, or written: keys that were wrapped
 */
int evlog_key_dir_rotate(struct evlog_key_store *store, const char *master_path, uint64_t *count,
                         struct evlog_failure *failure);

/* --- sealing ------------------------------------------------------------------------------------------------------ */

/* What to seal. */
struct evlog_seal {
    size_t size;                /* sizeof(struct evlog_seal) */
    struct evlog_bytes subject; /* whose data it is: 1 .. EVLOG_SUBJECT_LEN_MAX bytes; kept in the key store, encrypted,
                                   until the subject is erased */
    struct evlog_bytes key;     /* of the event, its stream; null: none */
    const char *id;             /* of the event (ce_id); never NULL or empty */
    const char *const *paths; /* [path_count] fields of JSON data: names with dots between them, as in "customer.name",
                                 digits for items of an array; or a JSON pointer, as in "/customer/name"; "" is all */
    size_t path_count;        /* 0: the data as it is, JSON or not */
};
#define EVLOG_SEAL_INIT                                                                                                \
    {                                                                                                                  \
        .size = sizeof(struct evlog_seal)                                                                              \
    }

/* Data that the library made. */
struct evlog_sealed {
    size_t size; /* sizeof(struct evlog_sealed), set by the caller */
    struct evlog_bytes data;
    void *owned; /* freed by evlog_sealed_free() */
};
#define EVLOG_SEALED_INIT                                                                                              \
    {                                                                                                                  \
        .size = sizeof(struct evlog_sealed)                                                                            \
    }

/* Encrypt fields of an event's data with the key of a subject. For a second subject seal the result again, with other
 * paths.
 *
 * keys     makes a key for a subject that has none
 * data     JSON when paths are given; borrowed for the call
 * sealed   written on success; free with evlog_sealed_free()
 * returns  0 | EVLOG_ERR_ARGUMENT no subject, no id, no data, a path twice or inside another | EVLOG_ERR_MALFORMED the
 *          data is no JSON, or has names that are reserved ("$sealed", "$erased") where they may not be |
 *          EVLOG_ERR_NOT_FOUND no such field | EVLOG_ERR_EXISTS it is sealed already | EVLOG_ERR_ERASED the subject's
 *          key is disabled | EVLOG_ERR_LIMIT | EVLOG_ERR_KEYS the key store is at fault | EVLOG_ERR_NO_MEMORY
 */
int evlog_seal(struct evlog_key_store *keys, const struct evlog_seal *seal, struct evlog_bytes data,
               struct evlog_sealed *sealed, struct evlog_failure *failure);
void evlog_sealed_free(struct evlog_sealed *sealed);

/* --- opening ------------------------------------------------------------------------------------------------------ */

enum evlog_field_state {
    EVLOG_FIELD_OPENED,
    EVLOG_FIELD_ERASED, /* its key is destroyed, or disabled for now */
};

/* A field that was sealed. */
struct evlog_field {
    const char *path;               /* JSON pointer; "" is all of the data */
    char subject[EVLOG_KEY_ID_MAX]; /* pseudonym of whom it is about: the id of its key */
    enum evlog_field_state state;
    bool restorable;   /* erased, and the key is only disabled */
    int64_t erased_ms; /* since 1970; 0: it is not */
};

/* The data of an event with its fields opened. */
struct evlog_opened {
    size_t size;                      /* sizeof(struct evlog_opened), set by the caller */
    struct evlog_bytes data;          /* as it was before sealing, erased fields as {"$erased":{...}}; the given bytes
                                         themselves when nothing is sealed */
    const struct evlog_field *fields; /* [field_count], in the order of the text */
    size_t field_count;
    size_t erased_count; /* of them */
    void *owned;         /* freed by evlog_opened_free() */
};
#define EVLOG_OPENED_INIT                                                                                              \
    {                                                                                                                  \
        .size = sizeof(struct evlog_opened)                                                                            \
    }

/* Does data hold anything sealed? Cheap where it does not. */
bool evlog_is_sealed(struct evlog_bytes data);

/* Decrypt all sealed fields of an event's data. A field whose key is destroyed or disabled is no failure but a typed
 * Erased: look at erased_count. Anything else that cannot be opened is a failure, and nothing is given.
 *
 * keys     NULL: for data that holds nothing sealed
 * key, id  of the event; null where it has none
 * opened   written on success; free with evlog_opened_free()
 * returns  0 | EVLOG_ERR_SEALED keys is NULL | EVLOG_ERR_CORRUPT a ciphertext was altered, or moved here from another
 *          event or field | EVLOG_ERR_MALFORMED what looks sealed is not | EVLOG_ERR_LIMIT |
 *          EVLOG_ERR_KEYS the key store is at fault, or is not the one that the data was sealed with |
 *          EVLOG_ERR_NO_MEMORY
 */
int evlog_open(struct evlog_key_store *keys, struct evlog_bytes key, struct evlog_bytes id, struct evlog_bytes data,
               struct evlog_opened *opened, struct evlog_failure *failure);
void evlog_opened_free(struct evlog_opened *opened);

/* --- erasing ------------------------------------------------------------------------------------------------------ */

#define EVLOG_ERASED_TYPE "evlog.erased"      /* of the event that tells of it */
#define EVLOG_ERASURES_TOPIC "evlog.erasures" /* where it is appended, unless said otherwise */

struct evlog_erase {
    size_t size;                /* sizeof(struct evlog_erase) */
    struct evlog_bytes subject; /* whose key is to be destroyed */
    const char *topic; /* with evlog.streams=true; NULL: EVLOG_ERASURES_TOPIC, which is made when it is not there */
    bool now;          /* without waiting until a disabled key may be destroyed, or for one that is live */
};
#define EVLOG_ERASE_INIT                                                                                               \
    {                                                                                                                  \
        .size = sizeof(struct evlog_erase)                                                                             \
    }

/* Where the fact is. */
struct evlog_erased {
    size_t size;                    /* sizeof(struct evlog_erased), set by the caller */
    char subject[EVLOG_KEY_ID_MAX]; /* its pseudonym */
    int64_t erased_ms;              /* since 1970 */
    int32_t partition;              /* of the event */
    int64_t offset;
};
#define EVLOG_ERASED_INIT                                                                                              \
    {                                                                                                                  \
        .size = sizeof(struct evlog_erased)                                                                            \
    }

/* Destroy a subject's key for good, and append an event of the type EVLOG_ERASED_TYPE that says so: key and data name
 * the pseudonym. The key is destroyed first. When the append fails, the same call again appends what is missing, once.
 *
 * erased   NULL, or written on success
 * returns  0 | EVLOG_ERR_NOT_FOUND the store has no key of that subject | EVLOG_ERR_CONFLICT the key is live, or may
 *          not be destroyed yet, and now is not set | EVLOG_ERR_KEYS | as evlog_append(): the key is destroyed
 */
int evlog_erase(struct evlog_client *client, struct evlog_key_store *keys, const struct evlog_erase *erase,
                struct evlog_erased *erased, struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
