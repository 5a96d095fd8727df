/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking a run from its front: entries group by group, names leaf by leaf, through buffers of many blocks. Each block
 * is checked when its turn comes, and that it goes on where the one before ended.
 */
#include <stream/index_run_priv.h>

#include <core/alloc.h>
#include <core/assert.h>

#define ENTRY_BLOCKS 64u /* 256 KiB */
#define NAME_BLOCKS 4u   /* 64 KiB */
#define NAME_UNITS (EL_RUN_NAME_LEN / EL_RUN_BLOCK_LEN)

struct name_walk {
    uint8_t *buf;               /* [NAME_BLOCKS * EL_RUN_NAME_LEN] */
    uint32_t next;              /* block of names to be looked at, from 0 */
    uint32_t buf_from, buf_end; /* those that are in buf */
    bool pending;               /* u holds a name that has not been given out */
    uint32_t last_slot;         /* the name before this leaf; 0 none */
    uint32_t last_len;
    uint8_t last[EL_RUN_NAME_KEY_MAX];
    struct el_name_unpacker u;
};

struct index_cursor {
    const struct index_run *run;
    uint8_t *buf;                /* [ENTRY_BLOCKS * EL_RUN_BLOCK_LEN] */
    uint32_t group;              /* that of the next block */
    uint32_t block;              /* next block in it */
    uint32_t buf_from, buf_end;  /* blocks of this group that are in buf */
    struct el_stream_entry last; /* slot 0: none yet */
    struct el_entry_unpacker u;
    struct name_walk *names; /* NULL until one is asked for */
};

int index_cursor_open(const struct index_run *run, struct index_cursor **cursor)
{
    struct index_cursor *c = el_calloc(1, sizeof(*c));
    uint8_t *buf = el_malloc((size_t)ENTRY_BLOCKS * EL_RUN_BLOCK_LEN);
    if (c == NULL || buf == NULL) {
        el_free(buf);
        el_free(c);
        return EVLOG_ERR_NO_MEMORY;
    }
    c->run = run;
    c->buf = buf;
    *cursor = c;
    return 0;
}

void index_cursor_close(struct index_cursor *c)
{
    if (c == NULL) {
        return;
    }
    if (c->names != NULL) {
        el_free(c->names->buf);
        el_free(c->names);
    }
    el_free(c->buf);
    el_free(c);
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

/* Have the next block in the buffer and the unpacker at its front. returns 1 | 0 there is none | EVLOG_ERR_... */
static int entries_turn(struct index_cursor *c)
{
    if (c->group == c->run->info.group_count) {
        return 0;
    }
    const struct index_run_top *t = &c->run->top[c->group];
    uint32_t number = t->first_block + c->block;
    EL_ASSERT(c->block < t->block_count);
    EL_ASSERT(c->block >= c->buf_from);
    EL_ASSERT(c->block <= c->buf_end);
    if (c->block == c->buf_end) {
        uint32_t count = EL_MIN(t->block_count - c->block, ENTRY_BLOCKS);
        int code = index_run_bytes(c->run, number, c->buf, (size_t)count * EL_RUN_BLOCK_LEN);
        if (code != 0) {
            return code;
        }
        c->buf_from = c->block;
        c->buf_end = c->block + count;
    }
    const uint8_t *p = c->buf + (size_t)(c->block - c->buf_from) * EL_RUN_BLOCK_LEN;
    struct el_run_block block = {.run_id = c->run->info.run_id, .number = number};
    if (el_run_block_open(p, EL_RUN_BLOCK_LEN, &block) != 0 || block.kind != EL_RUN_ENTRIES || block.count == 0) {
        return EVLOG_ERR_CORRUPT;
    }
    el_entry_unpacker_init(&c->u, p + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_BLOCK_LEN - EL_RUN_BLOCK_HEADER_LEN, block.count);
    if (++c->block == t->block_count) {
        c->group++;
        c->block = c->buf_from = c->buf_end = 0;
    }
    return 1;
}

int index_cursor_next(struct index_cursor *c, struct el_stream_entry *entry)
{
    int code = el_entry_unpack(&c->u);
    if (code == 0) {
        code = entries_turn(c);
        code = code <= 0 ? code : el_entry_unpack(&c->u);
        if (code > 0 && c->last.slot != 0 && el_stream_entry_compare(&c->last, &c->u.last) >= 0) {
            code = EVLOG_ERR_CORRUPT;
        }
    }
    if (code > 0) {
        c->last = c->u.last;
        *entry = c->u.last;
    }
    return code;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static int names_begin(struct index_cursor *c)
{
    if (c->names != NULL) {
        return 0;
    }
    struct name_walk *n = el_malloc(sizeof(*n));
    uint8_t *buf = el_malloc((size_t)NAME_BLOCKS * EL_RUN_NAME_LEN);
    if (n == NULL || buf == NULL) {
        el_free(buf);
        el_free(n);
        return EVLOG_ERR_NO_MEMORY;
    }
    n->buf = buf;
    n->next = n->buf_from = n->buf_end = 0;
    n->pending = false;
    n->last_slot = n->last_len = 0;
    el_name_unpacker_init(&n->u, buf, 0, 0, false);
    c->names = n;
    return 0;
}

static void name_keep(struct name_walk *n)
{
    EL_ASSERT(n->u.key_len <= sizeof(n->last));
    n->last_slot = n->u.slot;
    n->last_len = n->u.key_len;
    memcpy(n->last, n->u.key, n->u.key_len);
}

/* Have the next leaf in the buffer and the unpacker at its front. returns 1 | 0 there is none | EVLOG_ERR_... */
static int names_turn(struct index_cursor *c)
{
    struct name_walk *n = c->names;
    const struct index_run *run = c->run;
    while (n->next < run->info.name_block_count) {
        uint32_t number = run->info.names_block + n->next * NAME_UNITS;
        if (n->next < n->buf_from || n->next >= n->buf_end) {
            uint32_t count = EL_MIN(run->info.name_block_count - n->next, NAME_BLOCKS);
            EL_ASSERT(n->u.left == 0); /* it reads from the buffer */
            int code = index_run_bytes(run, number, n->buf, (size_t)count * EL_RUN_NAME_LEN);
            if (code != 0) {
                n->buf_from = n->buf_end = 0;
                return code;
            }
            n->buf_from = n->next;
            n->buf_end = n->next + count;
        }
        const uint8_t *p = n->buf + (size_t)(n->next - n->buf_from) * EL_RUN_NAME_LEN;
        struct el_run_block block = {.run_id = run->info.run_id, .number = number};
        if (el_run_block_open(p, EL_RUN_NAME_LEN, &block) != 0 || block.count == 0 ||
            (block.kind != EL_RUN_NAMES && block.kind != EL_RUN_NAME_INDEX)) {
            return EVLOG_ERR_CORRUPT;
        }
        n->next++;
        if (block.kind == EL_RUN_NAMES) {
            el_name_unpacker_init(&n->u, p + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_NAME_LEN - EL_RUN_BLOCK_HEADER_LEN,
                                  block.count, false);
            return 1;
        }
    }
    return 0;
}

/* Read the next name into the unpacker. */
static int name_advance(struct index_cursor *c)
{
    struct name_walk *n = c->names;
    int code = 0;
    if (n->u.left > 0) {
        return el_name_unpack(&n->u);
    }
    if (n->u.slot != 0) {
        name_keep(n);
    }
    code = names_turn(c);
    code = code <= 0 ? code : el_name_unpack(&n->u);
    if (code > 0 && n->last_slot != 0 &&
        el_name_compare(n->last_slot, el_slice_of(n->last, n->last_len), n->u.slot,
                        el_slice_of(n->u.key, n->u.key_len)) >= 0) {
        code = EVLOG_ERR_CORRUPT;
    }
    return code;
}

/* Which child of an index block holds the last name at or below the key, or its first one. */
static int child_for(const uint8_t *p, uint16_t count, uint32_t slot, struct el_slice key, struct el_name_unpacker *u,
                     uint32_t *child)
{
    el_name_unpacker_init(u, p + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_NAME_LEN - EL_RUN_BLOCK_HEADER_LEN, count, true);
    int code = el_name_unpack(u);
    if (code <= 0) {
        return EVLOG_ERR_CORRUPT;
    }
    do {
        *child = u->block;
        code = el_name_unpack(u);
    } while (code > 0 && el_name_compare(u->slot, el_slice_of(u->key, u->key_len), slot, key) <= 0);
    return code < 0 ? code : 0;
}

/* Down the tree from its root, the last block of names, to the leaf; a child is always before its parent. */
static int leaf_for(struct index_cursor *c, uint32_t slot, struct el_slice key, uint32_t *leaf)
{
    struct name_walk *n = c->names;
    const struct index_run *run = c->run;
    EL_ASSERT(run->info.name_block_count > 0);
    uint32_t at = run->info.name_block_count - 1;
    n->buf_from = n->buf_end = 0;
    for (;;) {
        struct el_run_block block = {.run_id = run->info.run_id, .number = run->info.names_block + at * NAME_UNITS};
        uint32_t child = 0;
        int code = index_run_bytes(run, block.number, n->buf, EL_RUN_NAME_LEN);
        code = code != 0 ? code : el_run_block_open(n->buf, EL_RUN_NAME_LEN, &block);
        if (code == 0 && block.kind == EL_RUN_NAMES) {
            *leaf = at;
            return 0;
        }
        if (code == 0 && block.kind != EL_RUN_NAME_INDEX) {
            code = EVLOG_ERR_CORRUPT;
        }
        code = code != 0 ? code : child_for(n->buf, block.count, slot, key, &n->u, &child);
        if (code == 0 && (child < run->info.names_block || child >= block.number ||
                          (child - run->info.names_block) % NAME_UNITS != 0)) {
            code = EVLOG_ERR_CORRUPT;
        }
        if (code != 0) {
            return code;
        }
        EL_ASSERT((child - run->info.names_block) / NAME_UNITS < at); /* a child lies before: it comes to an end */
        at = (child - run->info.names_block) / NAME_UNITS;
    }
}

int index_cursor_seek_name(struct index_cursor *c, uint32_t slot, struct el_slice prefix, struct el_slice after)
{
    bool behind = after.data != NULL && el_name_compare(slot, after, slot, prefix) >= 0;
    struct el_slice key = behind ? after : prefix;
    int code = names_begin(c);
    if (code != 0 || c->run->info.name_block_count == 0) {
        return code;
    }
    struct name_walk *n = c->names;
    n->pending = false;
    uint32_t leaf = 0;
    code = leaf_for(c, slot, key, &leaf);
    el_name_unpacker_init(&n->u, n->buf, 0, 0, false);
    n->last_slot = 0;
    n->next = code == 0 ? leaf : c->run->info.name_block_count;
    while (code == 0) {
        int more = name_advance(c);
        if (more <= 0) {
            return more;
        }
        int order = el_name_compare(n->u.slot, el_slice_of(n->u.key, n->u.key_len), slot, key);
        if (behind ? order > 0 : order >= 0) {
            n->pending = true;
            return 0;
        }
    }
    return code;
}

int index_cursor_next_name(struct index_cursor *c, uint32_t *slot, struct el_slice *key)
{
    int code = names_begin(c);
    if (code != 0) {
        return code;
    }
    struct name_walk *n = c->names;
    code = n->pending ? 1 : name_advance(c);
    n->pending = false;
    if (code > 0) {
        *slot = n->u.slot;
        *key = el_slice_of(n->u.key, n->u.key_len);
    }
    return code;
}
