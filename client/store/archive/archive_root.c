/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding incarnations and roots in a store, reading notes, and whom to believe.
 *
 * Names are in order, so the newest root is found by asking whether there is one above a number: a listing of a few
 * names at a time, at distances that double, then are halved. An archive with a million roots takes some 30 requests.
 *
 * Keys: a root that is signed with a trusted key covers manifests; the keys that those state are trusted from then on.
 * A manifest that states a new key has a root which old and new keys sign. So from an old key the way leads over the
 * last root that it signed. The newest state says when the key was retired: believed only as a hint where to look.
 */
#include "archive_internal.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <store/archive_cluster.h>

#define PAGE 1000u /* names that one request of a bucket lists */
#define HOPS_MAX 32u
#define FETCH_FIRST (1u << 20)

/* --- bytes -------------------------------------------------------------------------------------------------------- */

int archive_fetch(struct object_store *store, const char *key, uint64_t pos, uint64_t len, uint8_t **data,
                  struct el_error *err)
{
    uint64_t have = 0, room = EL_MIN(len, (uint64_t)FETCH_FIRST);
    uint8_t *buf = el_malloc(EL_MAX(room, 1u));
    while (buf != NULL) {
        uint64_t done = 0;
        int code = room == have ? 0 : object_get(store, key, pos + have, buf + have, room - have, &done, err);
        if (code == 0 && done < room - have) {
            code = el_error_set(err, EVLOG_ERR_TRUNCATED, "%s ends at byte %" PRIu64 ", %" PRIu64 " are needed", key,
                                pos + have + done, pos + len);
        }
        if (code != 0) {
            el_free(buf);
            return code;
        }
        have = room;
        if (have == len) {
            *data = buf;
            return 0;
        }
        /* So much has come: it may be as much again, and more. */
        room = EL_MIN(len, room * 4);
        uint8_t *more = el_realloc(buf, room);
        if (more == NULL) {
            break;
        }
        buf = more;
    }
    el_free(buf);
    return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for %" PRIu64 " bytes of %s", len, key);
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

struct first_key {
    char key[EL_ARCHIVE_KEY_MAX];
    bool found;
};

static bool take_first(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct first_key *first = arg;
    (void)len;
    (void)modified_ms;
    first->found = true;
    (void)snprintf(first->key, sizeof(first->key), "%s", key);
    return false;
}

/* An object has the name of an archive: in a bucket it is one of many; in a directory it hides the archive.
 * returns 0 | EVLOG_ERR_POLICY that is so */
static int check_hidden(struct object_store *store, const struct el_uuid *id, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    struct object_info info;
    struct el_error found = {0};
    el_archive_key_cluster(key, id);
    bool hidden = object_head(store, key, &info, &found) == EVLOG_ERR_POLICY;
    return hidden ? el_error_set(err, EVLOG_ERR_POLICY, "%s", found.text) : 0;
}

int archive_incarnations(struct object_store *store, struct el_uuid *ids, size_t max, size_t *count,
                         struct el_error *err)
{
    char after[EL_ARCHIVE_KEY_MAX] = "";
    *count = 0;
    for (size_t hops = 0; hops < max + HOPS_MAX; hops++) {
        struct first_key first = {.found = false};
        int code = object_list(store, "", after, take_first, &first, err);
        if (code != 0 || !first.found) {
            return code;
        }
        struct el_uuid id;
        char *slash = strchr(first.key, '/');
        size_t len = slash == NULL ? strlen(first.key) : (size_t)(slash - first.key);
        bool is_id = archive_id_parse(el_slice_of(first.key, len), &id) == 0;
        code = is_id && slash == NULL ? check_hidden(store, &id, err) : 0;
        if (code != 0) {
            return code;
        }
        if (is_id && slash != NULL) {
            if (*count == max) {
                return el_error_set(err, EVLOG_ERR_LIMIT, "more than %zu archives below %s", max, store->url);
            }
            ids[(*count)++] = id;
        }
        /* Behind all of its names, which go on with letters below this one. */
        (void)snprintf(after, sizeof(after), slash == NULL ? "%.*s" : "%.*s/z", (int)EL_MIN(len, 200u), first.key);
    }
    return 0; /* strangers' names; what was found is what there is among the first */
}

struct root_page {
    size_t prefix_len;
    uint64_t last;
    uint32_t count;
    uint32_t max;
};

static bool take_root(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct root_page *page = arg;
    uint64_t sequence = 0;
    const char *digits = key + page->prefix_len;
    (void)len;
    (void)modified_ms;
    page->count++;
    if (strlen(digits) == 16 && strspn(digits, "0123456789abcdef") == 16 &&
        sscanf(digits, "%" SCNx64, &sequence) == 1 && sequence <= EL_MERKLE_LEAVES_MAX) {
        page->last = EL_MAX(page->last, sequence);
    }
    return page->count < page->max;
}

/* Highest of the first `max` roots above `after`; 0: none there. */
static int roots_above(struct object_store *store, const struct el_uuid *incarnation, uint64_t after,
                       struct root_page *page, struct el_error *err)
{
    char prefix[EL_ARCHIVE_KEY_MAX], from[EL_ARCHIVE_KEY_MAX];
    el_archive_key_root(prefix, incarnation, 0);
    page->prefix_len = strlen(prefix) - 16;
    prefix[page->prefix_len] = '\0';
    el_archive_key_root(from, incarnation, after);
    page->last = 0;
    page->count = 0;
    return object_list(store, prefix, from, take_root, page, err);
}

int archive_root_newest(struct object_store *store, const struct el_uuid *incarnation, uint64_t after,
                        uint64_t *sequence, struct el_error *err)
{
    struct root_page page = {.max = PAGE}, probe = {.max = 1};
    uint64_t known = after, none_above = 0, step = PAGE;
    int code = roots_above(store, incarnation, known, &page, err);
    while (code == 0 && page.count == PAGE && page.last > known) {
        known = page.last;
        /* A root is there; go ahead as far as there still is one above. */
        while (code == 0 && (none_above == 0 || none_above - known > PAGE)) {
            uint64_t guess = none_above == 0 ? EL_MIN(known + step, EL_MERKLE_LEAVES_MAX)
                                             : known + (none_above - known) / 2;
            code = roots_above(store, incarnation, guess, &probe, err);
            if (code == 0 && probe.last > guess) {
                known = probe.last;
                step *= 4;
            } else {
                none_above = guess;
            }
        }
        code = code == 0 ? roots_above(store, incarnation, known, &page, err) : code;
    }
    known = EL_MAX(known, page.last);
    if (code == 0) {
        *sequence = known > after ? known : 0;
    }
    return code;
}

/* --- notes -------------------------------------------------------------------------------------------------------- */

int archive_root_parse(struct el_slice note, struct archive_root *root, struct el_error *err)
{
    struct el_checkpoint_note parsed;
    char origin[EL_ARCHIVE_KEY_MAX];
    /* "evlog/<cluster>/<incarnation>/root" */
    if (note.len > EL_NOTE_LEN_MAX || el_note_parse(note, &parsed) != 0 || parsed.origin.len != 6 + 32 + 1 + 32 + 5 ||
        archive_id_parse(el_slice_of(parsed.origin.data + 6, 32), &root->cluster) != 0 ||
        archive_id_parse(el_slice_of(parsed.origin.data + 39, 32), &root->incarnation) != 0) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "it is not the note of an archive's root");
    }
    el_archive_origin_root(origin, &root->cluster, &root->incarnation);
    if (!el_slice_eq(parsed.origin, el_slice_str(origin)) || parsed.size == 0 || parsed.size > EL_MERKLE_LEAVES_MAX) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "it is not the note of an archive's root");
    }
    root->sequence = parsed.size;
    memcpy(root->hash.bytes, parsed.root, 32);
    memcpy(root->note, note.data, note.len);
    root->note_len = note.len;
    return 0;
}

int archive_root_get(struct object_store *store, const struct el_uuid *incarnation, uint64_t sequence,
                     struct archive_root *root, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t note[EL_NOTE_LEN_MAX + 1];
    uint64_t done = 0;
    el_archive_key_root(key, incarnation, sequence);
    int code = object_get(store, key, 0, note, sizeof(note), &done, err);
    if (code != 0) {
        return code;
    }
    code = archive_root_parse(el_slice_of(note, (size_t)done), root, err);
    if (code == 0 && (root->sequence != sequence || !el_uuid_eq(&root->incarnation, incarnation))) {
        code = el_error_set(err, EVLOG_ERR_CORRUPT, "it is the note of another root");
    }
    if (code != 0) {
        el_error_wrap(err, "%s", key);
    }
    return code;
}

/* --- manifests ---------------------------------------------------------------------------------------------------- */

int archive_manifest_get(struct object_store *store, const struct el_uuid *incarnation, uint64_t sequence,
                         uint8_t **manifest, uint64_t *len, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    el_archive_key_manifest(key, incarnation, sequence);
    int code = object_get_all(store, key, EL_MANIFEST_LEN_MAX, manifest, len, err);
    if (code == EVLOG_ERR_LIMIT) {
        code = el_error_set(err, EVLOG_ERR_CORRUPT, "%s is longer than a manifest may be", key);
    }
    return code;
}

/* Apply the manifest of this sequence, and free it. */
static int apply_next(struct object_store *store, const struct el_uuid *incarnation, uint64_t sequence,
                      struct archive_state *state, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *manifest = NULL;
    uint64_t len = 0;
    int code = archive_manifest_get(store, incarnation, sequence, &manifest, &len, err);
    if (code != 0) {
        return code;
    }
    el_archive_key_manifest(key, incarnation, sequence);
    code = archive_state_apply(state, manifest, (size_t)len, err);
    el_free(manifest);
    if (code == 0 && (state->header.sequence != sequence || !el_uuid_eq(&state->header.incarnation, incarnation))) {
        code = el_error_set(err, EVLOG_ERR_CORRUPT, "it is another manifest");
    }
    if (code == EVLOG_ERR_TRUNCATED) {
        code = EVLOG_ERR_CORRUPT; /* the store gave all it has */
    }
    if (code != 0) {
        el_error_wrap(err, "%s", key);
    }
    return code;
}

/* Which of the manifests [first, last] is not the one that was signed? err says so, when the tiles do. */
static void name_culprit(struct object_store *store, const struct el_uuid *incarnation, uint64_t first, uint64_t last,
                         const struct el_hash256 *root, struct el_error *err)
{
    struct archive_tree tree = {.store = store, .incarnation = *incarnation, .of_manifests = true};
    struct el_hash256 *leaves = NULL, leaf;
    bool found = archive_tiles_leaves(&tree, last, root, &leaves, NULL) != 0;
    for (uint64_t i = first; !found && i <= last; i++) {
        char key[EL_ARCHIVE_KEY_MAX];
        uint8_t *manifest = NULL, sha256[32];
        uint64_t len = 0;
        if (archive_manifest_get(store, incarnation, i, &manifest, &len, NULL) != 0) {
            break;
        }
        el_sha256(manifest, (size_t)len, sha256);
        el_merkle_leaf(sha256, sizeof(sha256), &leaf);
        el_free(manifest);
        if (memcmp(&leaf, &leaves[i - 1], sizeof(leaf)) != 0) {
            el_archive_key_manifest(key, incarnation, i);
            found = true;
            (void)el_error_set(err, EVLOG_ERR_CORRUPT, "%s: it is not the manifest that was signed", key);
        }
    }
    el_free(leaves);
}

int archive_state_load(struct object_store *store, const struct el_uuid *incarnation, uint64_t sequence,
                       const struct el_hash256 *root, struct archive_state **loaded, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t head[EL_MANIFEST_HEADER_LEN];
    struct el_manifest_header header;
    uint64_t done = 0;
    el_archive_key_manifest(key, incarnation, sequence);
    int code = object_get(store, key, 0, head, sizeof(head), &done, err);
    if (code != 0) {
        return code;
    }
    /* The header alone: of a manifest of that length it is one. */
    code = done < sizeof(head) ? EVLOG_ERR_TRUNCATED : 0;
    if (code == 0) {
        code = el_manifest_header_get(head, EL_MANIFEST_HEADER_LEN, &header);
        code = code == EVLOG_ERR_TRUNCATED ? 0 : code; /* it has a body */
    }
    bool its_own = done == sizeof(head) && el_get_le64(head + 32) == sequence &&
                   memcmp(head + 16, incarnation->bytes, 16) == 0;
    uint64_t first = its_own ? el_get_le64(head + 40) : 0;
    if (code != 0 || first == 0 || first > sequence || sequence - first > EL_MANIFEST_CHAIN_MAX) {
        return el_error_set(err, code == EVLOG_ERR_FORMAT ? code : EVLOG_ERR_CORRUPT, "%s: %s", key,
                            code == EVLOG_ERR_FORMAT ? "it is of a newer evlog: use one that is as new"
                                                     : "its header is malformed, or that of another manifest");
    }
    struct archive_state *state = archive_state_new();
    code = state == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for %s", key) : 0;
    for (uint64_t i = first; code == 0 && i <= sequence; i++) {
        code = apply_next(store, incarnation, i, state, err);
    }
    if (code == 0 && root != NULL) {
        struct el_hash256 hash;
        el_frontier_root(&state->tree, &hash);
        if (memcmp(&hash, root, sizeof(hash)) != 0) {
            code = el_error_set(err, EVLOG_ERR_CORRUPT, "%s: root %" PRIu64 " is signed over other manifests", key,
                                sequence);
        }
    }
    if (code == EVLOG_ERR_CORRUPT && root != NULL) {
        name_culprit(store, incarnation, first, sequence, root, err);
    }
    if (code != 0) {
        archive_state_free(state);
        return code;
    }
    *loaded = state;
    return 0;
}

/* --- whom to believe ---------------------------------------------------------------------------------------------- */

int archive_trust_check(const struct archive_trust *trust, const struct archive_root *root, struct el_error *err)
{
    char name[EL_ARCHIVE_KEY_MAX], key[EL_ARCHIVE_KEY_MAX];
    el_archive_key_name(name, &root->cluster);
    el_archive_key_root(key, &root->incarnation, root->sequence);
    int code = el_note_verify(el_slice_of(root->note, root->note_len), el_slice_str(name), trust->keys, trust->count,
                              NULL);
    if (code == 0 || code == EVLOG_ERR_NOT_FOUND) {
        return code;
    }
    return el_error_set(err, EVLOG_ERR_CORRUPT, "%s: a signature of a key that is trusted does not hold", key);
}

static bool knows(const struct archive_trust *trust, const struct el_manifest_key *key)
{
    for (size_t i = 0; i < trust->count; i++) {
        if ((uint32_t)trust->keys[i].kind == key->kind &&
            el_slice_eq(el_slice_of(trust->keys[i].bytes, trust->keys[i].len), key->bytes)) {
            return true;
        }
    }
    return false;
}

/* Those that the state calls retired go: what they signed lies behind. */
static void forget_retired(struct archive_trust *trust, const struct archive_state *state)
{
    for (size_t i = 0; i < state->key_count; i++) {
        const struct el_manifest_key *key = &state->keys[i].now;
        for (size_t k = 0; key->retired && k < trust->count; k++) {
            if ((uint32_t)trust->keys[k].kind == key->kind &&
                el_slice_eq(el_slice_of(trust->keys[k].bytes, trust->keys[k].len), key->bytes)) {
                trust->keys[k--] = trust->keys[--trust->count];
            }
        }
    }
}

void archive_trust_learn(struct archive_trust *trust, const struct archive_state *state)
{
    forget_retired(trust, state);
    for (size_t i = state->key_count; i-- > 0 && trust->count < EL_SIGN_KEYS_MAX;) {
        const struct el_manifest_key *key = &state->keys[i].now;
        struct el_public_key pub = {.kind = (enum el_sign_kind)key->kind, .len = key->bytes.len};
        if (key->retired || knows(trust, key) || key->bytes.len > sizeof(pub.bytes) ||
            (key->kind != EL_SIGN_ED25519 && key->kind != EL_SIGN_ECDSA_P256)) {
            continue;
        }
        memcpy(pub.bytes, key->bytes.data, key->bytes.len);
        if (el_public_key_check(&pub) == 0) {
            trust->keys[trust->count++] = pub;
        }
    }
}

/* When the last of the trusted keys was retired, says a state that nobody has vouched for yet; 0: none was. */
static uint64_t retired_ms(const struct archive_trust *trust, const struct archive_state *state)
{
    uint64_t last_ms = 0;
    for (size_t i = 0; i < state->key_count; i++) {
        const struct el_manifest_key *key = &state->keys[i].now;
        if (key->retired && knows(trust, key)) {
            last_ms = EL_MAX(last_ms, key->changed_ms);
        }
    }
    return last_ms;
}

/* Last manifest below `high` that was made at or before a time; times do not fall. */
static int manifest_at(struct object_store *store, const struct el_uuid *incarnation, uint64_t high, uint64_t time_ms,
                       uint64_t *sequence, struct el_error *err)
{
    uint64_t low = 0;
    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2, done = 0;
        uint8_t head[EL_MANIFEST_HEADER_LEN] = {0};
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_manifest(key, incarnation, mid);
        int code = object_get(store, key, 0, head, sizeof(head), &done, err);
        if (code != 0) {
            return code;
        }
        if (el_get_le64(head + 56) <= time_ms) {
            low = mid;
        } else {
            high = mid;
        }
    }
    *sequence = low;
    return 0;
}

/* The last root, or nearly, that a trusted key signed: keys sign up to the manifest that retires them, or the one
 * before. returns 0 | EVLOG_ERR_NOT_FOUND */
static int last_signed(const struct archive_trust *trust, struct object_store *store, const struct archive_root *root,
                       struct archive_root *bridge, struct el_error *err)
{
    struct archive_state *state = NULL;
    uint64_t sequence = 0;
    int code = archive_state_load(store, &root->incarnation, root->sequence, &root->hash, &state, err);
    if (code != 0) {
        return code;
    }
    uint64_t time_ms = retired_ms(trust, state);
    archive_state_free(state);
    code = time_ms == 0 ? EVLOG_ERR_NOT_FOUND
                        : manifest_at(store, &root->incarnation, root->sequence, time_ms, &sequence, err);
    for (uint64_t i = 0; code == 0 && i < 2; i++) {
        if (sequence <= i) {
            return EVLOG_ERR_NOT_FOUND;
        }
        code = archive_root_get(store, &root->incarnation, sequence - i, bridge, err);
        if (code == 0) {
            code = archive_trust_check(trust, bridge, err);
        }
        if (code == 0) {
            return 0;
        }
        code = code == EVLOG_ERR_NOT_FOUND ? 0 : code;
    }
    return code == 0 ? EVLOG_ERR_NOT_FOUND : code;
}

int archive_trust_follow(struct archive_trust *trust, struct object_store *store, const struct archive_root *root,
                         struct el_error *err)
{
    struct archive_tree tree = {.store = store, .incarnation = root->incarnation, .of_manifests = true};
    struct archive_root *bridge = el_malloc(sizeof(*bridge));
    uint64_t reached = 0;
    int code = bridge == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a root") : 0;
    for (uint32_t hop = 0; code == 0 && hop < HOPS_MAX; hop++) {
        struct archive_state *state = NULL;
        code = last_signed(trust, store, root, bridge, err);
        if (code == 0 && bridge->sequence <= reached) {
            code = EVLOG_ERR_NOT_FOUND; /* no key leads further */
        }
        if (code == 0) {
            code = archive_state_load(store, &root->incarnation, bridge->sequence, &bridge->hash, &state, err);
        }
        if (code != 0) {
            break;
        }
        reached = bridge->sequence;
        archive_trust_learn(trust, state);
        archive_state_free(state);
        code = archive_trust_check(trust, root, err);
        if (code == 0) {
            code = archive_tiles_consistent(&tree, reached, &bridge->hash, root->sequence, &root->hash, err);
            el_free(bridge);
            return code;
        }
        code = code == EVLOG_ERR_NOT_FOUND ? 0 : code;
    }
    el_free(bridge);
    if (code == 0 || code == EVLOG_ERR_NOT_FOUND) {
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_root(key, &root->incarnation, root->sequence);
        code = el_error_set(err, EVLOG_ERR_CORRUPT, "%s is not signed with a key that was given, or a successor of one",
                            key);
    }
    return code;
}
