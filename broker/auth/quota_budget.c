/* SPDX-License-Identifier: Apache-2.0 */
#include <auth/quota_budget.h>

#include <string.h>

#define NS_PER_S 1e9
/* Prefixes of names in the hash: kind, which names count, length of the first. */
#define ID_PREFIX_LEN 4u
#define ID_LEN_MAX (ID_PREFIX_LEN + 512u + 512u)

void quota_budget_init(struct quota_budget *budget)
{
    for (uint32_t row = 0; row < QUOTA_ROW_COUNT; row++) {
        for (uint32_t i = 0; i < QUOTA_ROW_LEN; i++) {
            atomic_init(&budget->rows[row][i].id, 0);
            atomic_init(&budget->rows[row][i].until_ns, 0);
        }
    }
}

/* Longer names share a budget when they begin alike: no limit can be set for one of them by name. */
static size_t name_put(uint8_t *to, struct el_slice name)
{
    size_t len = EL_MIN(name.len, (size_t)512);
    if (len > 0) {
        memcpy(to, name.data, len);
    }
    return len;
}

static uint64_t id_of(const struct quota_budget *budget, uint8_t kind, uint8_t names, struct el_slice first,
                      struct el_slice second)
{
    uint8_t text[ID_LEN_MAX];
    size_t first_len = name_put(text + ID_PREFIX_LEN, first);
    size_t second_len = name_put(text + ID_PREFIX_LEN + first_len, second);
    text[0] = kind;
    text[1] = names;
    text[2] = (uint8_t)first_len;
    text[3] = (uint8_t)(first_len >> 8);
    EL_ASSERT(ID_PREFIX_LEN + first_len + second_len <= sizeof text);
    uint64_t id = el_xxh3_128(text, ID_PREFIX_LEN + first_len + second_len, budget->secret).low;
    return id == 0 ? 1 : id;
}

uint64_t quota_budget_id(const struct quota_budget *budget, enum quota_kind kind, const struct quota_hit *hit,
                         const struct quota_caller *caller)
{
    struct el_slice none = {0};
    EL_ASSERT(kind != QUOTA_CONNECT); /* the same places, told apart by names alone */
    EL_ASSERT(hit->of_user || hit->of_client_id);
    return id_of(budget, (uint8_t)kind, (uint8_t)(1 + hit->of_user + 2 * hit->of_client_id),
                 hit->of_user ? caller->user : none, hit->of_client_id ? caller->client_id : none);
}

uint64_t quota_budget_ip_id(const struct quota_budget *budget, struct el_slice address)
{
    return id_of(budget, QUOTA_CONNECT, 0, address, (struct el_slice){0});
}

uint64_t quota_cost_ns(double amount, double limit)
{
    EL_ASSERT(amount >= 0);
    EL_ASSERT(limit > 0);
    double ns = amount / limit * NS_PER_S;
    return ns < 2.0 * QUOTA_WAIT_NS_MAX ? (uint64_t)ns : 2 * QUOTA_WAIT_NS_MAX;
}

/* The place of a budget, which is given to it when it has none. Two shards that look for a new one at the same moment
 * may both take a place: for one use each counts alone, and then the first of the row is found by both. */
static struct quota_slot *slot_of(struct quota_budget *budget, uint64_t id)
{
    struct quota_slot *row = budget->rows[id % QUOTA_ROW_COUNT];
    struct quota_slot *victim = NULL;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < QUOTA_ROW_LEN; i++) {
        uint64_t own = atomic_load_explicit(&row[i].id, memory_order_relaxed);
        if (own == id) {
            return &row[i];
        }
        uint64_t until_ns = own == 0 ? 0 : atomic_load_explicit(&row[i].until_ns, memory_order_relaxed);
        if (until_ns < least) {
            least = until_ns;
            victim = &row[i];
        }
    }
    EL_ASSERT(victim != NULL);
    atomic_store_explicit(&victim->until_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&victim->id, id, memory_order_relaxed);
    return victim;
}

uint64_t quota_budget_charge(struct quota_budget *budget, const struct quota_use *use)
{
    EL_ASSERT(use->id != 0);
    EL_ASSERT(use->cost_ns <= 2 * QUOTA_WAIT_NS_MAX);
    struct quota_slot *slot = slot_of(budget, use->id);
    uint64_t free_ns = use->now_ns + use->burst_ns, most_ns = free_ns + QUOTA_WAIT_NS_MAX;
    uint64_t before = atomic_load_explicit(&slot->until_ns, memory_order_relaxed), after;
    do {
        after = EL_MIN(EL_MAX(before, use->now_ns) + use->cost_ns, EL_MAX(before, most_ns));
    } while (!atomic_compare_exchange_weak_explicit(&slot->until_ns, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return after > free_ns ? after - free_ns : 0;
}

bool quota_budget_try(struct quota_budget *budget, const struct quota_use *use)
{
    EL_ASSERT(use->id != 0);
    EL_ASSERT(use->cost_ns <= 2 * QUOTA_WAIT_NS_MAX);
    struct quota_slot *slot = slot_of(budget, use->id);
    uint64_t before = atomic_load_explicit(&slot->until_ns, memory_order_relaxed), after;
    do {
        after = EL_MAX(before, use->now_ns) + use->cost_ns;
        if (after > use->now_ns + EL_MAX(use->burst_ns, use->cost_ns)) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&slot->until_ns, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}
