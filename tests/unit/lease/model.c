/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <core/bytes.h>

#define EACH(m, i) for (uint32_t i = (m)->from; i < (m)->to; i++)
#define EACH_OF_ALL(m, i) for (uint32_t i = 0; i < (m)->count; i++)

uint64_t model_hash(uint32_t hash)
{
    return hash == 0 ? 0 : 0x9e3779b97f4a7c15ull * hash;
}

void model_narrow(struct model *m)
{
    while (m->from < m->to && !model_live(&m->events[m->from])) {
        m->from++;
    }
}

bool model_live(const struct model_event *e)
{
    return e->read && e->state != MODEL_FINISHED;
}

uint32_t model_count(const struct model *m, int state)
{
    uint32_t count = 0;
    EACH(m, i)
    {
        count += model_live(&m->events[i]) && m->events[i].state == state;
    }
    return count;
}

int model_find(const struct model *m, int64_t offset)
{
    EACH_OF_ALL(m, i)
    {
        if (m->events[i].offset == offset) {
            return (int)i;
        }
    }
    return -1;
}

static bool ordered_with(const struct model *m, uint32_t i, uint32_t j)
{
    if (i == j || !model_live(&m->events[j]) || m->events[i].unordered || m->events[j].unordered) {
        return false;
    }
    bool same_key = m->events[i].hash != 0 && m->events[j].hash == m->events[i].hash;
    return m->rules.order == LEASE_ORDER_PARTITION || (m->rules.order == LEASE_ORDER_KEY && same_key);
}

int model_before(const struct model *m, uint32_t i)
{
    for (uint32_t j = m->from; j < i; j++) {
        if (ordered_with(m, i, j)) {
            return (int)j;
        }
    }
    return -1;
}

bool model_is_behind(const struct model *m, uint32_t i)
{
    if (model_before(m, i) >= 0) {
        return true;
    }
    for (uint32_t j = i + 1; j < m->to; j++) {
        if (ordered_with(m, i, j) && m->events[j].state != LEASE_STATE_WAITING) {
            return true;
        }
    }
    return false;
}

/* --- what becomes of one ------------------------------------------------------------------------------------------ */

static enum lease_death why_not_again(const struct model *m, const struct model_event *e)
{
    if (m->rules.attempts_max != -1 && (int64_t)e->attempts >= m->rules.attempts_max) {
        return LEASE_DEATH_EXHAUSTED;
    }
    if (m->rules.age_max_ms != -1 && e->attempts >= 1 && e->append_ms + m->rules.age_max_ms < m->now.wall_ms) {
        return LEASE_DEATH_TOO_OLD;
    }
    return LEASE_DEATH_NONE;
}

static void give_up(const struct model *m, struct model_event *e)
{
    e->death = why_not_again(m, e);
    e->state = m->rules.on_exhausted == LEASE_HALT ? LEASE_STATE_HALTED : LEASE_STATE_DYING;
}

static void let_go_on(struct model *m);

static void make_ready(struct model *m, struct model_event *e)
{
    if (e->state != LEASE_STATE_WAITING && model_before(m, (uint32_t)(e - m->events)) >= 0) {
        e->undelayed = true;
        e->state = LEASE_STATE_WAITING; /* what has come back goes first */
        let_go_on(m);
        return;
    }
    e->undelayed = true;
    if (e->must_check) {
        e->state = LEASE_STATE_CHECK;
    } else if (why_not_again(m, e) != LEASE_DEATH_NONE) {
        give_up(m, e);
    } else {
        e->state = LEASE_STATE_READY;
    }
}

/* Whatever waits and is behind nothing goes on. */
static void let_go_on(struct model *m)
{
    EACH(m, i)
    {
        struct model_event *e = &m->events[i];
        if (!model_live(e) || e->state != LEASE_STATE_WAITING || model_is_behind(m, i)) {
            continue;
        }
        if (e->emits) {
            e->state = LEASE_STATE_EMITTING;
        } else if (e->death != LEASE_DEATH_NONE) {
            e->state = LEASE_STATE_DYING;
        } else if (!e->undelayed && e->not_before_ms > m->now.wall_ms) {
            e->state = LEASE_STATE_DELAYED;
        } else {
            make_ready(m, e);
        }
    }
}

static void lease_ends(const struct model *m, struct model_event *e)
{
    e->session = 0;
    e->must_check = m->parked[e->hash] > 0;
}

static void failed(struct model *m, struct model_event *e, int64_t delay_ms)
{
    lease_ends(m, e);
    if (why_not_again(m, e) != LEASE_DEATH_NONE) {
        give_up(m, e);
        return;
    }
    uint64_t wait = (uint64_t)delay_ms * 1000000;
    if (delay_ms < 0) {
        uint64_t max = (uint64_t)m->rules.backoff_max_ms * 1000000;
        wait = (uint64_t)m->rules.backoff_ms * 1000000;
        for (uint32_t n = 1; n < e->attempts; n++) {
            wait = EL_MIN(wait * m->rules.backoff_multiplier_milli / 1000, max);
        }
        if (m->rules.full_jitter && wait > 0) {
            wait = (uint64_t)((unsigned __int128)wait * m->draw / ((unsigned __int128)1 << 64)) + 1;
        }
    }
    if (wait == 0) {
        make_ready(m, e);
    } else {
        e->state = LEASE_STATE_BACKOFF;
        e->due_ns = m->now.mono_ns + wait;
    }
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

void model_add(struct model *m, uint32_t i)
{
    struct model_event *e = &m->events[i];
    e->read = true;
    m->from = EL_MIN(m->from, i);
    m->to = EL_MAX(m->to, i + 1);
    bool begun = e->ahead_attempts > 0 || e->intent != LEASE_DEATH_NONE || e->emits;
    if (e->ahead_finished || (e->passed && !begun)) {
        e->state = MODEL_FINISHED;
        return;
    }
    e->state = LEASE_STATE_WAITING;
    e->unordered = e->emits;
    e->undelayed = false;
    e->attempts = e->ahead_attempts;
    e->death = e->intent != LEASE_DEATH_NONE ? e->intent : e->ahead_rejected ? LEASE_DEATH_REJECTED : LEASE_DEATH_NONE;
    e->session = 0;
    e->must_check = m->parked[e->hash] > 0;
    let_go_on(m);
}

static bool has_other_before(const struct model *m, uint32_t i, uint32_t j)
{
    for (uint32_t n = m->from; n < j; n++) {
        if (n != i && ordered_with(m, j, n)) {
            return true;
        }
    }
    return false;
}

bool model_reopen(struct model *m, uint32_t i, bool *ending)
{
    struct model_event *e = &m->events[i];
    *ending = model_live(e) && (e->state == LEASE_STATE_BURIED || e->state == LEASE_STATE_CHECKING ||
                                e->state == LEASE_STATE_SETTLING || e->state == LEASE_STATE_WRITING);
    if (e->read ? e->state != MODEL_FINISHED : !e->ahead_finished) {
        return false;
    }
    m->returned = true;
    e->acknowledged = e->buried = false;
    e->intent = LEASE_DEATH_NONE;
    e->returned = true;
    e->emits = e->unordered = false;
    if (!e->read) {
        e->ahead_finished = e->ahead_rejected = false;
        e->ahead_attempts = 0;
        return true;
    }
    m->floor = EL_MIN(m->floor, e->offset);
    m->from = EL_MIN(m->from, i);
    m->to = EL_MAX(m->to, i + 1);
    e->state = LEASE_STATE_WAITING;
    e->attempts = 0;
    e->death = LEASE_DEATH_NONE;
    e->session = 0;
    e->must_check = e->undelayed = false;
    /* A later one that is not in work goes behind it. */
    for (uint32_t j = i + 1; j < m->to; j++) {
        struct model_event *later = &m->events[j];
        bool idle = later->state == LEASE_STATE_READY || later->state == LEASE_STATE_DELAYED ||
                    later->state == LEASE_STATE_CHECK;
        if (idle && ordered_with(m, i, j) && !has_other_before(m, i, j)) {
            later->state = LEASE_STATE_WAITING;
        }
    }
    let_go_on(m);
    return true;
}

bool model_ready(const struct model *m)
{
    return model_count(m, LEASE_STATE_READY) > 0 && model_halted(m) == -1 && !m->returned && !m->returned_writing &&
           model_count(m, LEASE_STATE_LEASED) < m->rules.inflight_max;
}

uint32_t model_acquire(struct model *m, uint64_t session, struct lease_grant *out, uint32_t max)
{
    uint32_t count = 0;
    EACH(m, i)
    {
        struct model_event *e = &m->events[i];
        if (count == max || !model_ready(m)) {
            break;
        }
        if (!model_live(e) || e->state != LEASE_STATE_READY) {
            continue;
        }
        make_ready(m, e);
        if (e->state == LEASE_STATE_READY) {
            e->state = LEASE_STATE_LEASED;
            e->attempts++;
            e->session = session;
            e->due_ns = m->now.mono_ns + (uint64_t)m->rules.lease_ms * 1000000;
            out[count] = (struct lease_grant){.offset = e->offset, .attempts = e->attempts};
            count++;
        }
    }
    return count;
}

void model_unacquire(struct model *m, uint32_t i)
{
    lease_ends(m, &m->events[i]);
    m->events[i].attempts--;
    m->events[i].state = model_before(m, i) >= 0 ? LEASE_STATE_WAITING : LEASE_STATE_READY;
    let_go_on(m);
}

static bool range_holds(const struct model *m, uint64_t session, const struct lease_outcome *o)
{
    int64_t first = EL_MAX(o->first, m->floor);
    int64_t held = 0;
    EACH(m, i)
    {
        const struct model_event *e = &m->events[i];
        if (!model_live(e) || e->offset < first || e->offset > o->last) {
            continue;
        }
        if (e->state != LEASE_STATE_LEASED || e->session != session || e->due_ns <= m->now.mono_ns) {
            return false;
        }
        held++;
    }
    return o->kind == LEASE_GAP || held == EL_MAX(o->last - first + 1, (int64_t)0);
}

static void take(struct model *m, struct model_event *e, const struct lease_outcome *o)
{
    if (o->kind == LEASE_ACCEPT && o->emit_count > 0) {
        e->state = LEASE_STATE_EMITTING;
    } else if (o->kind == LEASE_ACCEPT || o->kind == LEASE_GAP) {
        e->state = LEASE_STATE_SETTLING;
        e->accepted = true;
    } else if (o->kind == LEASE_RELEASE) {
        lease_ends(m, e);
        make_ready(m, e);
    } else if (o->kind == LEASE_REJECT) {
        e->state = LEASE_STATE_DYING;
        e->death = LEASE_DEATH_REJECTED;
    } else if (o->kind == LEASE_EXTEND) {
        e->due_ns = m->now.mono_ns + (uint64_t)m->rules.lease_ms * 1000000;
    } else {
        failed(m, e, o->delay_ms);
    }
}

bool model_settle(struct model *m, uint64_t session, const struct lease_outcome *o, uint32_t count, int64_t read_next)
{
    for (uint32_t i = 0; i < count; i++) {
        bool rises = i == 0 ? o[i].first >= 0 : o[i].first > o[i - 1].last;
        bool delay_allowed = o[i].kind != LEASE_FAIL || (o[i].delay_ms >= -1 && o[i].delay_ms <= LEASE_DELAY_MS_MAX);
        if (!rises || o[i].last < o[i].first || o[i].last >= read_next || !delay_allowed ||
            (o[i].emit_count > 0 && (o[i].kind != LEASE_ACCEPT || o[i].first != o[i].last || o[i].first < m->floor)) ||
            !range_holds(m, session, &o[i])) {
            return false;
        }
    }
    EACH(m, n)
    {
        struct model_event *e = &m->events[n];
        for (uint32_t i = 0; i < count; i++) {
            if (model_live(e) && e->offset >= m->floor && e->offset >= o[i].first && e->offset <= o[i].last) {
                take(m, e, &o[i]);
                break;
            }
        }
    }
    return true;
}

void model_release_session(struct model *m, uint64_t session)
{
    EACH(m, i)
    {
        struct model_event *e = &m->events[i];
        if (model_live(e) && e->state == LEASE_STATE_LEASED && e->session == session) {
            lease_ends(m, e);
            make_ready(m, e);
        }
    }
}

uint64_t model_tick(struct model *m)
{
    uint64_t next = LEASE_NEVER;
    EACH(m, i)
    {
        struct model_event *e = &m->events[i];
        if (!model_live(e)) {
            continue;
        }
        bool leased = e->state == LEASE_STATE_LEASED, backoff = e->state == LEASE_STATE_BACKOFF;
        if (leased && e->due_ns <= m->now.mono_ns) {
            failed(m, e, -1);
        } else if (backoff && e->due_ns <= m->now.mono_ns) {
            make_ready(m, e);
        } else if (e->state == LEASE_STATE_DELAYED && e->not_before_ms <= m->now.wall_ms) {
            make_ready(m, e);
        }
    }
    EACH(m, i)
    {
        const struct model_event *e = &m->events[i];
        if (!model_live(e)) {
            continue;
        }
        if (e->state == LEASE_STATE_LEASED || e->state == LEASE_STATE_BACKOFF) {
            next = EL_MIN(next, e->due_ns);
        } else if (e->state == LEASE_STATE_DELAYED) {
            next = EL_MIN(next, m->now.mono_ns + (uint64_t)(e->not_before_ms - m->now.wall_ms) * 1000000);
        }
    }
    return next;
}

int64_t model_halted(const struct model *m)
{
    EACH(m, i)
    {
        if (model_live(&m->events[i]) && m->events[i].state == LEASE_STATE_HALTED) {
            return m->events[i].offset;
        }
    }
    return -1;
}

void model_resume(struct model *m)
{
    EACH(m, i)
    {
        struct model_event *e = &m->events[i];
        if (model_live(e) && e->state == LEASE_STATE_HALTED) {
            e->attempts = 0;
            e->death = LEASE_DEATH_NONE;
            m->returned = true;
            make_ready(m, e);
        }
    }
}

/* --- dead letters ------------------------------------------------------------------------------------------------- */

bool model_next_dying(struct model *m, struct lease_dead *out)
{
    EACH(m, i)
    {
        struct model_event *e = &m->events[i];
        if (model_live(e) && (e->state == LEASE_STATE_DYING || e->state == LEASE_STATE_CHECK)) {
            bool check = e->state == LEASE_STATE_CHECK;
            *out = (struct lease_dead){e->offset, e->attempts, check ? LEASE_DEATH_CHECK : e->death};
            e->state = check ? LEASE_STATE_CHECKING : LEASE_STATE_BURIED;
            return true;
        }
    }
    return false;
}

static struct model_event *told(struct model *m, int64_t offset)
{
    int i = model_find(m, offset);
    struct model_event *e = i < 0 ? NULL : &m->events[i];
    bool is = e != NULL && model_live(e) && (e->state == LEASE_STATE_BURIED || e->state == LEASE_STATE_CHECKING);
    return is ? e : NULL;
}

bool model_dead_waits(const struct model *m, int64_t offset)
{
    int i = model_find(m, offset);
    const struct model_event *e = i < 0 ? NULL : &m->events[i];
    return e != NULL && model_live(e) && e->state == LEASE_STATE_WAITING && e->death != LEASE_DEATH_NONE && !e->emits;
}

bool model_dead_done(struct model *m, int64_t offset)
{
    bool waits = model_dead_waits(m, offset);
    struct model_event *e = waits ? &m->events[model_find(m, offset)] : told(m, offset);
    if (e == NULL) {
        return false;
    }
    e->unordered = e->unordered || waits;
    e->death = waits ? LEASE_DEATH_NONE : e->death; /* the intent knows it */
    e->state = LEASE_STATE_SETTLING;
    e->accepted = false;
    e->buried = true;
    let_go_on(m);
    return true;
}

bool model_dead_retry(struct model *m, int64_t offset)
{
    struct model_event *e = told(m, offset);
    if (e == NULL) {
        return false;
    }
    e->state = e->state == LEASE_STATE_BURIED ? LEASE_STATE_DYING : LEASE_STATE_CHECK;
    return true;
}

bool model_check_passed(struct model *m, int64_t offset)
{
    struct model_event *e = told(m, offset);
    if (e == NULL || e->state != LEASE_STATE_CHECKING) {
        return false;
    }
    e->must_check = false;
    make_ready(m, e);
    return true;
}

void model_park(struct model *m, uint32_t hash)
{
    m->parked[hash]++;
    EACH(m, i)
    {
        if (m->events[i].hash == hash) {
            m->events[i].must_check = true;
        }
    }
}

void model_unpark(struct model *m, uint32_t hash)
{
    m->parked[hash]--;
    if (m->parked[hash] > 0) {
        return;
    }
    EACH(m, i)
    {
        struct model_event *e = &m->events[i];
        if (e->hash == hash) {
            e->must_check = false;
            if (model_live(e) && e->state == LEASE_STATE_CHECK) {
                make_ready(m, e);
            }
        }
    }
}

/* --- emits -------------------------------------------------------------------------------------------------------- */

bool model_emit_done(struct model *m, int64_t offset, int64_t read_next)
{
    int i = model_find(m, offset);
    struct model_event *e = i < 0 ? NULL : &m->events[i];
    if (e == NULL || !model_live(e)) {
        return offset < read_next;
    }
    if (e->state == LEASE_STATE_EMITTING) {
        e->state = LEASE_STATE_SETTLING;
        e->accepted = true;
    }
    return true;
}

/* --- durability --------------------------------------------------------------------------------------------------- */

void model_write_begin(struct model *m, int64_t read_next)
{
    m->writing = true;
    m->returned_writing = m->returned;
    m->returned = false;
    m->pending_start = read_next;
    EACH_OF_ALL(m, n)
    {
        uint32_t i = m->count - 1 - n;
        struct model_event *e = &m->events[i];
        if (model_live(e) && e->state == LEASE_STATE_SETTLING) {
            e->state = LEASE_STATE_WRITING;
        }
        if (e->read) {
            e->pending_finished = e->state == MODEL_FINISHED || e->state == LEASE_STATE_WRITING;
            e->pending_attempts = e->attempts;
            e->pending_rejected = e->death == LEASE_DEATH_REJECTED;
        } else {
            e->pending_finished = e->ahead_finished;
            e->pending_attempts = e->ahead_attempts;
            e->pending_rejected = e->ahead_rejected;
        }
        if (e->read && !e->pending_finished) {
            m->pending_start = e->offset;
        }
    }
}

void model_write_end(struct model *m, bool durable)
{
    m->writing = false;
    m->returned = m->returned || (m->returned_writing && !durable);
    m->returned_writing = false;
    EACH_OF_ALL(m, i)
    {
        struct model_event *e = &m->events[i];
        if (durable) {
            e->stored_finished = e->pending_finished;
            e->stored_attempts = e->pending_attempts;
            e->stored_rejected = e->pending_rejected;
        }
        if (!model_live(e) || e->state != LEASE_STATE_WRITING) {
            continue;
        }
        e->state = durable ? MODEL_FINISHED : LEASE_STATE_SETTLING;
        if (durable && e->accepted) {
            e->acknowledged = true;
        }
    }
    if (durable) {
        m->stored_start = m->pending_start;
    }
    let_go_on(m);
}

static void forget(struct model_event *e)
{
    e->read = e->ahead_finished = e->ahead_rejected = e->undelayed = false;
    e->ahead_attempts = 0;
    e->state = LEASE_STATE_WAITING;
    e->attempts = 0;
    e->session = 0;
    e->death = LEASE_DEATH_NONE;
}

void model_restart(struct model *m)
{
    m->writing = m->returned = m->returned_writing = false;
    m->floor = m->stored_start;
    m->from = m->to = 0;
    EACH_OF_ALL(m, i)
    {
        struct model_event *e = &m->events[i];
        if (e->offset >= m->stored_start) {
            forget(e);
            e->ahead_finished = e->stored_finished;
            e->ahead_attempts = e->stored_attempts;
            e->ahead_rejected = e->stored_rejected;
        } else {
            e->read = true;
            e->state = MODEL_FINISHED;
        }
    }
}

void model_set_start(struct model *m, int64_t offset)
{
    m->floor = m->log_start = offset;
    EACH_OF_ALL(m, i)
    {
        if (m->events[i].offset < offset) {
            m->events[i].read = true;
            m->events[i].state = MODEL_FINISHED;
        }
    }
    let_go_on(m);
}

void model_reset(struct model *m, int64_t offset)
{
    m->floor = offset;
    m->from = m->to = 0;
    m->returned = m->returned_writing = false;
    EACH_OF_ALL(m, i)
    {
        struct model_event *e = &m->events[i];
        forget(e);
        e->stored_attempts = e->pending_attempts = 0;
        e->stored_finished = e->pending_finished = false;
        e->stored_rejected = e->pending_rejected = false;
        if (e->offset < offset) {
            e->read = true;
            e->state = MODEL_FINISHED;
        }
    }
}

void model_set_rules(struct model *m, const struct lease_rules *rules)
{
    m->rules = *rules;
    EACH(m, i)
    {
        struct model_event *e = &m->events[i];
        if (rules->on_exhausted != LEASE_HALT && model_live(e) && e->state == LEASE_STATE_HALTED) {
            e->state = LEASE_STATE_DYING;
        }
    }
}

int64_t model_start(const struct model *m)
{
    EACH(m, i)
    {
        if (model_live(&m->events[i])) {
            return m->events[i].offset;
        }
    }
    return -1;
}
