/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions that look at more of an archive than one range: whether objects are there, and where the newest event is.
 * Each does a bounded piece of work, for it takes the turn of the shard's reads, and remembers what it has found.
 */
#include <archive/archive_cold.h>

#include <core/hash.h>
#include <string.h>

#define HEADS_MAX 32u            /* objects looked for by a question ... */
#define HEADS_LEN (128ull << 20) /* ... and their bytes, for a directory reads them */
#define TABLES_MAX 64u           /* batch tables read by a question */

/* --- presence ----------------------------------------------------------------------------------------------------- */

static bool is_seen(const struct archive_cold *cold, const struct archive_piece *piece)
{
    for (uint32_t i = 0; i < COLD_SEEN; i++) {
        const struct cold_seen *seen = &cold->seen[i];
        if (seen->number == piece->object.number && el_uuid_eq(&seen->incarnation, &piece->incarnation)) {
            return true;
        }
    }
    return false;
}

/* returns 0 it is what manifests say | EVLOG_ERR_CORRUPT | what the store says */
static int look_at(struct archive_read_job *job, const struct archive_piece *piece, struct el_error *err)
{
    struct object_info info = {0};
    int code = object_head(job->cfg->bucket, piece->key, &info, err);
    bool same = info.len == piece->object.len &&
                (!info.has_sha256 || memcmp(info.sha256, piece->object.sha256, sizeof info.sha256) == 0);
    if (code == EVLOG_ERR_NOT_FOUND || (code == 0 && !same)) {
        return el_error_set(
            err, EVLOG_ERR_CORRUPT,
            "%s/%s is %s, and a root covers it: what this disk has of it stays here. Somebody or a rule "
            "of the store removes objects",
            job->cfg->bucket->url, piece->key, code == 0 ? "another object than was put" : "gone");
    }
    return code;
}

int cold_presence(struct archive_read_job *job, struct tier_read *read, struct el_error *err)
{
    struct archive_cold *cold = job->cold;
    uint32_t count = 0;
    uint64_t len = 0;
    read->next_offset = read->offset;
    while (read->next_offset < read->end_offset) {
        struct archive_piece piece;
        int code = archive_reader_piece(cold->reader, &read->topic_id, read->partition, read->next_offset, &piece, err);
        if (code != 0) {
            return code;
        }
        if (piece.first_offset < 0 || piece.first_offset >= read->end_offset) { /* a gap, which the root vouches for */
            read->next_offset = read->end_offset;
            return 0;
        }
        if (!is_seen(cold, &piece)) {
            if (count == HEADS_MAX || (count > 0 && len + piece.object.len > HEADS_LEN)) {
                return 0;
            }
            count++;
            len += piece.object.len;
            code = look_at(job, &piece, err);
            if (code != 0) {
                job->missing = code == EVLOG_ERR_CORRUPT ? el_xxh3(piece.key, strlen(piece.key)) | 1 : 0;
                return code;
            }
            cold->seen[cold->seen_at++ % COLD_SEEN] = (struct cold_seen){piece.incarnation, piece.object.number};
        }
        read->next_offset = EL_MIN(EL_MAX(piece.end_offset, read->next_offset + 1), read->end_offset);
    }
    return 0;
}

/* --- the newest event --------------------------------------------------------------------------------------------- */

/* What is known of the partition; else the place that was not used for the longest time. */
static struct cold_newest *known_of(struct archive_cold *cold, const struct tier_read *read)
{
    struct cold_newest *oldest = &cold->newest[0];
    for (uint32_t i = 0; i < COLD_NEWEST; i++) {
        struct cold_newest *k = &cold->newest[i];
        if (k->upto > 0 && k->partition == read->partition && el_uuid_eq(&k->topic_id, &read->topic_id)) {
            return k;
        }
        oldest = k->used < oldest->used ? k : oldest;
    }
    oldest->upto = 0;
    return oldest;
}

/* The log start moves up, and what was the newest may lie below it. */
static bool holds_still(const struct cold_newest *k, const struct tier_read *read)
{
    bool counts = k->found.first_offset < 0 || k->found.first_offset >= read->offset || k->from == read->offset;
    return k->upto > 0 && k->from <= read->offset && k->upto <= read->end_offset && counts;
}

int cold_newest(struct archive_cold *cold, struct tier_read *read, struct el_error *err)
{
    struct cold_newest *k = known_of(cold, read);
    if (!holds_still(k, read)) {
        *k = (struct cold_newest){.topic_id = read->topic_id,
                                  .partition = read->partition,
                                  .from = read->offset,
                                  .upto = read->offset,
                                  .found = {.first_offset = -1}};
    }
    k->used = ++cold->uses;
    for (uint32_t tables = 0; k->upto < read->end_offset; tables++) {
        struct archive_newest found;
        if (tables == TABLES_MAX) {
            return el_error_set(err, EVLOG_ERR_AGAIN, "there is more to look at");
        }
        int code = archive_reader_newest(cold->reader, &read->topic_id, read->partition, k->upto, read->end_offset,
                                         &found, err);
        if (code != 0) {
            return code;
        }
        if (found.first_offset >= 0 && (k->found.first_offset < 0 || found.time_ms > k->found.time_ms)) {
            k->found = found;
        }
        k->upto = EL_MIN(EL_MAX(found.next_offset, k->upto + 1), read->end_offset);
    }
    read->first_offset = k->found.first_offset;
    if (k->found.first_offset >= 0 && read->entries != NULL) {
        EL_ASSERT(read->entry_count < read->entry_max);
        read->entries[read->entry_count++] = (struct read_entry){.max_timestamp_ms = k->found.time_ms,
                                                                 .leader_epoch = k->found.leader_epoch};
    }
    return 0;
}
