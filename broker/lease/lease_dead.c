/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of a lease table that are on their way to the dead-letter topic, and hashes of parked keys. The table only
 * keeps them in order and tells each once; comparing keys, the intent and the append are the engine's.
 *
 * A hash is counted once for each parked key that has it. An event with such a hash must be checked before it is
 * leased, unless it was since the last parking: so the count of parkings that had been made when it was checked is
 * noted in the event, and the one of its last parking with the hash.
 */
#include <evlog/error.h>
#include <lease/lease_table_state.h>

bool lease_next_dying(struct lease_table *t, struct lease_dead *out)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t bits = LEASE_BIT(LEASE_STATE_DYING) | LEASE_BIT(LEASE_STATE_CHECK);
    uint32_t id = lease_tree_first_of(t->memory, t->entries, bits);
    if (id == 0) {
        return false;
    }
    const struct lease_node *e = lease_node(t->memory, id);
    bool check = lease_entry_state(e) == LEASE_STATE_CHECK;
    *out = (struct lease_dead){
        .offset = e->at, .attempts = e->attempts, .death = check ? LEASE_DEATH_CHECK : (enum lease_death)e->death};
    EL_ASSERT(out->death != LEASE_DEATH_NONE);
    lease_entry_move(t, id, check ? LEASE_STATE_CHECKING : LEASE_STATE_BURIED);
    return true;
}

/* The entry at that offset, where it is in one of these states | 0 */
static uint32_t told(const struct lease_table *t, int64_t offset, uint32_t bits)
{
    uint32_t id = lease_tree_find(t->memory, t->entries, offset);
    return id != 0 && (lease_node(t->memory, id)->own & bits) != 0 ? id : 0;
}

/* The entry at that offset, where it was dead when it was read, and an earlier one of its key came first | 0 */
static uint32_t waits_dead(const struct lease_table *t, int64_t offset)
{
    uint32_t id = told(t, offset, LEASE_BIT(LEASE_STATE_WAITING));
    uint8_t death = id == 0 ? LEASE_DEATH_NONE : lease_node(t->memory, id)->death;
    return death != LEASE_DEATH_NONE && death != LEASE_NODE_EMITS ? id : 0;
}

bool lease_dead_waits(const struct lease_table *t, int64_t offset)
{
    OBJ_CHECK(t, LEASE_TABLE);
    return waits_dead(t, offset) != 0;
}

bool lease_dead_done(struct lease_table *t, int64_t offset)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = waits_dead(t, offset);
    if (id != 0) {
        lease_entry_loosen(t, id);
    } else {
        id = told(t, offset, LEASE_BIT(LEASE_STATE_BURIED) | LEASE_BIT(LEASE_STATE_CHECKING));
    }
    if (id == 0) {
        return false;
    }
    lease_entry_move(t, id, LEASE_STATE_SETTLING);
    lease_block_touch(t, offset);
    return true;
}

bool lease_dead_retry(struct lease_table *t, int64_t offset)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = told(t, offset, LEASE_BIT(LEASE_STATE_BURIED) | LEASE_BIT(LEASE_STATE_CHECKING));
    if (id == 0) {
        return false;
    }
    bool buried = lease_entry_state(lease_node(t->memory, id)) == LEASE_STATE_BURIED;
    lease_entry_move(t, id, buried ? LEASE_STATE_DYING : LEASE_STATE_CHECK);
    return true;
}

bool lease_check_passed(struct lease_table *t, int64_t offset, struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = told(t, offset, LEASE_BIT(LEASE_STATE_CHECKING));
    if (id == 0) {
        return false;
    }
    lease_node(t->memory, id)->checked = t->park_clock;
    lease_entry_ready(t, id, now);
    return true;
}

int lease_park_hash(struct lease_table *t, uint64_t key_hash)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(key_hash != 0);
    struct lease_memory *m = t->memory;
    uint32_t id = lease_tree_find(m, t->parked, (int64_t)key_hash);
    if (id == 0) {
        id = lease_node_get(m, true);
        if (id == 0) {
            return EVLOG_ERR_NO_MEMORY;
        }
        lease_node(m, id)->at = (int64_t)key_hash;
        lease_tree_insert(m, &t->parked, id);
    }
    t->park_clock++;
    lease_node(m, id)->park_count++;
    lease_node(m, id)->park_from = t->park_clock;
    return 0;
}

void lease_unpark_hash(struct lease_table *t, uint64_t key_hash, struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    struct lease_memory *m = t->memory;
    uint32_t id = lease_tree_find(m, t->parked, (int64_t)key_hash);
    EL_ASSERT(id != 0);
    EL_ASSERT(lease_node(m, id)->park_count > 0);
    lease_node(m, id)->park_count--;
    if (lease_node(m, id)->park_count > 0) {
        return;
    }
    lease_tree_remove(m, &t->parked, id);
    lease_node_put(m, id);
    id = lease_tree_first_of(m, t->entries, LEASE_BIT(LEASE_STATE_CHECK));
    while (id != 0) {
        uint32_t next = lease_tree_next_of(m, id, LEASE_BIT(LEASE_STATE_CHECK));
        if (lease_node(m, id)->key_hash == key_hash) {
            lease_entry_ready(t, id, now);
        }
        id = next;
    }
}
