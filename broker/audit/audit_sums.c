/* SPDX-License-Identifier: Apache-2.0
 *
 * Notes that are equal but for their time are one row with a count; a row becomes a record when it is new and a denial,
 * a proof or a fault, and then once a minute while there is something to tell. A table has a fixed number of rows, the
 * last of which is for all notes that find none: a crowd of strangers with a name each costs no memory, and is told of
 * as "others".
 *
 * Of proofs the detail counts, too: why one has failed, and what was agreed on. Who fails is a stranger, and may do so
 * in as many ways as it likes: failures find half of the rows, so that they crowd nobody out who has proved who it is.
 */
#include <audit/audit_state.h>

#include <audit/audit_show.h>
#include <core/hash.h>
#include <core/timefmt.h>
#include <string.h>

#define NOTE_LEN_MAX 4096u
static const char *const text_names[TEXT_COUNT] = {"principal", "address", "listener", "action", "resource", "detail"};
static const uint16_t text_len_max[TEXT_COUNT] = {512, 48, 32, 32, 288, 48};
EL_STATIC_ASSERT(512 + 48 + 32 + 32 + 288 + 48 <= AUDIT_TEXT_LEN, "all texts of a row have room");

/* --- rows --------------------------------------------------------------------------------------------------------- */

static struct el_slice bounded(struct el_slice text, enum audit_text which)
{
    return el_slice_of(text.data, EL_MIN(text.len, (size_t)text_len_max[which]));
}

static void row_fill(struct audit_row *row, const struct el_slice *texts, const char *outcome)
{
    uint8_t *to = (uint8_t *)row->text;
    memset(row, 0, offsetof(struct audit_row, text));
    row->used = true;
    row->outcome = outcome;
    for (int i = 0; i < TEXT_COUNT; i++) {
        struct el_slice text = bounded(texts[i], (enum audit_text)i);
        EL_ASSERT(text.len <= (size_t)((const uint8_t *)row->text + AUDIT_TEXT_LEN - to));
        row->len[i] = (uint16_t)text.len;
        if (text.len > 0) {
            memcpy(to, text.data, text.len);
            to += text.len;
        }
    }
}

/* So many texts of a note make it equal to others. */
static int key_count(int class)
{
    return class == CONFIG_AUDIT_AUTHENTICATION ? TEXT_COUNT : TEXT_DETAIL;
}

static bool row_fits(const struct audit_row *row, uint64_t hash, const struct el_slice *texts, int count)
{
    const uint8_t *at = (const uint8_t *)row->text;
    if (!row->used || row->hash != hash) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        struct el_slice text = bounded(texts[i], (enum audit_text)i);
        if (text.len != row->len[i] || (text.len > 0 && memcmp(text.data, at, text.len) != 0)) {
            return false;
        }
        at += row->len[i];
    }
    return true;
}

static uint64_t hash_of(const struct el_slice *texts, int count, const char *outcome)
{
    uint64_t hash = (uint8_t)outcome[0];
    for (int i = 0; i < count; i++) {
        struct el_slice text = bounded(texts[i], (enum audit_text)i);
        hash = (hash ^ text.len) * 0x9e3779b97f4a7c15u;
        hash ^= text.len == 0 ? 0 : el_xxh3(text.data, text.len);
    }
    return hash;
}

/* The first row that a new note may have; the last one is not among them. */
static uint32_t row_first(int class, const char *outcome)
{
    return class == CONFIG_AUDIT_AUTHENTICATION && strcmp(outcome, "ok") != 0 ? AUDIT_ROWS / 2 : 0;
}

/* The row of a note; a new one, or that of all others, when there is none. */
static struct audit_row *row_of(struct audit_table *table, int class, const struct el_slice *texts, const char *outcome)
{
    static const struct el_slice nothing[TEXT_COUNT] = {0};
    int count = key_count(class);
    uint64_t hash = hash_of(texts, count, outcome);
    struct audit_row *free_row = NULL;
    for (uint32_t i = row_first(class, outcome); i + 1 < AUDIT_ROWS; i++) {
        struct audit_row *row = &table->rows[i];
        if (row_fits(row, hash, texts, count) && strcmp(row->outcome, outcome) == 0) {
            return row;
        }
        free_row = free_row == NULL && !row->used ? row : free_row;
    }
    struct audit_row *row = free_row == NULL ? &table->rows[AUDIT_ROWS - 1] : free_row;
    if (!row->used) {
        row_fill(row, free_row == NULL ? nothing : texts, free_row == NULL ? "several" : outcome);
        row->hash = hash;
        row->urgent = free_row != NULL;
    }
    return row;
}

void audit_note(struct audit *audit, const struct audit_note *note)
{
    OBJ_CHECK(audit, AUDIT);
    EL_ASSERT(note->class != CONFIG_AUDIT_CHANGES && note->class < CONFIG_AUDIT_CLASS_COUNT);
    if (!audit_wants(audit, note->class) || audit->stopping || !audit->started) {
        return;
    }
    const struct el_slice texts[TEXT_COUNT] = {note->principal, note->address,  note->listener,
                                               note->action,    note->resource, note->detail};
    struct audit_row *row = row_of(&audit->tables[note->class], note->class, texts, note->outcome);
    EL_ASSERT(row->used);
    EL_ASSERT(row->outcome != NULL);
    uint64_t now_ns = io_wall(audit->io);
    row->first_ns = row->count == 0 ? now_ns : row->first_ns;
    row->last_ns = now_ns;
    row->count += EL_MAX(note->count, (uint64_t)1);
    row->urgent = row->urgent && note->class != CONFIG_AUDIT_ACCESS;
    if (row->urgent) {
        audit_sums_write(audit, false);
    }
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static void row_show(struct audit *audit, int class, const struct audit_row *row, const char *id,
                     struct el_json_writer *w)
{
    const uint8_t *at = (const uint8_t *)row->text;
    el_json_begin_object(w);
    audit_show_head(w, id, config_audit_word(class), row->last_ns);
    el_json_add_uint(w, "shard", store_shard_index(audit->shard));
    for (int i = 0; i < TEXT_COUNT; i++) {
        struct el_slice text = el_slice_of(at, row->len[i]);
        if (text.len > 0) {
            el_json_key(w, text_names[i]);
            if (i == TEXT_PRINCIPAL) {
                audit_show_principal(w, text);
            } else {
                audit_show_text(w, text);
            }
        }
        at += row->len[i];
    }
    EL_ASSERT(at <= (const uint8_t *)row->text + AUDIT_TEXT_LEN);
    if (row == &audit->tables[class].rows[AUDIT_ROWS - 1]) {
        el_json_add_bool(w, "others", true);
    }
    el_json_add_str(w, "outcome", row->outcome);
    el_json_add_uint(w, "count", row->count);
    el_json_key(w, "since");
    audit_show_time(w, row->first_ns);
    el_json_end_object(w);
}

/* returns false when there is no room now */
static bool row_write(struct audit *audit, int class, struct audit_row *row)
{
    uint8_t text[NOTE_LEN_MAX];
    char id[AUDIT_ID_LEN + 1];
    struct el_buffer out;
    struct el_json_writer w;
    EL_ASSERT(row->used);
    EL_ASSERT(row->count > 0);
    if (audit->notes.busy) {
        audit->notes_full = true;
        return false;
    }
    audit_id(audit, id);
    el_buffer_fix(&out, text, sizeof text);
    el_json_writer_init(&w, &out);
    row_show(audit, class, row, id, &w);
    int code = el_json_writer_end(&w);
    EL_ASSERT(code == 0);
    if (!audit_post(audit, class, id, el_buffer_slice(&out))) {
        return false;
    }
    row->count = 0;
    row->urgent = false;
    return true;
}

static void table_write(struct audit *audit, int class, bool all)
{
    for (uint32_t i = 0; i < AUDIT_ROWS; i++) {
        struct audit_row *row = &audit->tables[class].rows[i];
        row->urgent = row->urgent || (all && row->count > 0);
        row->used = row->used && !(all && row->count == 0);
        if (row->used && row->urgent && row->count > 0 && !row_write(audit, class, row)) {
            row->urgent = true;
        }
    }
}

void audit_sums_write(struct audit *audit, bool all)
{
    if (all) {
        audit->flushed_ns = audit->io->now_ns;
    }
    for (int class = 0; class < CONFIG_AUDIT_CLASS_COUNT; class ++) {
        table_write(audit, class, all);
    }
    audit_notes_send(audit);
}
