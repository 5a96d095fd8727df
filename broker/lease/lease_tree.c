/* SPDX-License-Identifier: Apache-2.0
 *
 * Balanced trees (AVL) of lease nodes, by lease_node.h. The heights of two siblings differ by one at most, so a walk is
 * at most 1.45 log2(n) steps, 29 at a million. No recursion: each node has its way up.
 *
 * After a change, climb() goes up from where it happened, sets what each node knows of its subtree, and turns where one
 * side has become too high. It ends where nothing changes any more: mostly after a step or two, because what the upper
 * nodes know (the states that occur, the first timer) seldom depends on one entry.
 */
#include <lease/lease_node.h>

static int height_of(const struct lease_memory *m, uint32_t id)
{
    return id == 0 ? 0 : lease_node(m, id)->height;
}

static uint64_t own_mono(const struct lease_node *n)
{
    return (n->own & LEASE_BITS_MONO) != 0 ? n->due : LEASE_NEVER;
}

static uint64_t own_wall(const struct lease_node *n)
{
    return (n->own & LEASE_BITS_WALL) != 0 ? n->due : LEASE_WALL_NEVER;
}

/* Set what the node knows of its subtree; true when that has changed. */
static bool sum_up(const struct lease_memory *m, struct lease_node *n)
{
    uint64_t mono = own_mono(n), wall = own_wall(n);
    uint32_t below = n->own;
    int height = 0;
    for (int side = 0; side < 2; side++) {
        uint32_t child = side == 0 ? n->left : n->right;
        if (child != 0) {
            const struct lease_node *c = lease_node(m, child);
            mono = EL_MIN(mono, c->mono_min);
            wall = EL_MIN(wall, (uint64_t)c->wall_min);
            below |= c->below;
            height = EL_MAX(height, c->height);
        }
    }
    height++;
    bool changed = n->mono_min != mono || n->wall_min != wall || n->below != below || n->height != height;
    n->mono_min = mono;
    n->wall_min = wall;
    n->below = (uint16_t)below;
    n->height = (uint8_t)height;
    return changed;
}

/* Below parent (0: as the root), other takes the place of id; other may be 0. */
static void put_in_place(struct lease_memory *m, uint32_t *root, uint32_t id, uint32_t other)
{
    uint32_t parent = lease_node(m, id)->parent;
    if (parent == 0) {
        *root = other;
    } else if (lease_node(m, parent)->left == id) {
        lease_node(m, parent)->left = other;
    } else {
        EL_ASSERT(lease_node(m, parent)->right == id);
        lease_node(m, parent)->right = other;
    }
    if (other != 0) {
        lease_node(m, other)->parent = parent;
    }
}

/* The right child comes up, the node becomes its left one. returns the right child */
static uint32_t turn_left(struct lease_memory *m, uint32_t *root, uint32_t id)
{
    struct lease_node *n = lease_node(m, id);
    uint32_t up = n->right;
    struct lease_node *u = lease_node(m, up);
    put_in_place(m, root, id, up);
    n->right = u->left;
    if (n->right != 0) {
        lease_node(m, n->right)->parent = id;
    }
    u->left = id;
    n->parent = up;
    sum_up(m, n);
    sum_up(m, u);
    return up;
}

static uint32_t turn_right(struct lease_memory *m, uint32_t *root, uint32_t id)
{
    struct lease_node *n = lease_node(m, id);
    uint32_t up = n->left;
    struct lease_node *u = lease_node(m, up);
    put_in_place(m, root, id, up);
    n->left = u->right;
    if (n->left != 0) {
        lease_node(m, n->left)->parent = id;
    }
    u->right = id;
    n->parent = up;
    sum_up(m, n);
    sum_up(m, u);
    return up;
}

/* The subtree's root after it was balanced. */
static uint32_t balance(struct lease_memory *m, uint32_t *root, uint32_t id)
{
    struct lease_node *n = lease_node(m, id);
    int lean = height_of(m, n->left) - height_of(m, n->right);
    EL_ASSERT(lean >= -2);
    EL_ASSERT(lean <= 2);
    if (lean == 2) {
        const struct lease_node *l = lease_node(m, n->left);
        if (height_of(m, l->left) < height_of(m, l->right)) {
            turn_left(m, root, n->left);
        }
        return turn_right(m, root, id);
    }
    if (lean == -2) {
        const struct lease_node *r = lease_node(m, n->right);
        if (height_of(m, r->right) < height_of(m, r->left)) {
            turn_right(m, root, n->right);
        }
        return turn_left(m, root, id);
    }
    return id;
}

static void climb(struct lease_memory *m, uint32_t *root, uint32_t id)
{
    while (id != 0) {
        uint32_t top = balance(m, root, id);
        if (top == id && !sum_up(m, lease_node(m, id))) {
            return;
        }
        id = lease_node(m, top)->parent;
    }
}

void lease_tree_refresh(struct lease_memory *m, uint32_t id)
{
    while (id != 0 && sum_up(m, lease_node(m, id))) {
        id = lease_node(m, id)->parent;
    }
}

void lease_tree_insert(struct lease_memory *m, uint32_t *root, uint32_t id)
{
    struct lease_node *n = lease_node(m, id);
    uint32_t parent = 0;
    uint32_t *link = root;
    while (*link != 0) {
        parent = *link;
        struct lease_node *p = lease_node(m, parent);
        EL_ASSERT(p->at != n->at);
        link = n->at < p->at ? &p->left : &p->right;
    }
    *link = id;
    n->left = n->right = 0;
    n->parent = parent;
    sum_up(m, n);
    climb(m, root, parent);
}

void lease_tree_remove(struct lease_memory *m, uint32_t *root, uint32_t id)
{
    struct lease_node *n = lease_node(m, id);
    if (n->left == 0 || n->right == 0) {
        uint32_t parent = n->parent;
        put_in_place(m, root, id, n->left != 0 ? n->left : n->right);
        climb(m, root, parent);
        return;
    }
    /* The next node has no left child. It takes this one's place; its own is filled by its right child. */
    uint32_t next = lease_tree_next(m, id);
    struct lease_node *s = lease_node(m, next);
    uint32_t from = s->parent == id ? next : s->parent;
    if (from != next) {
        put_in_place(m, root, next, s->right);
        s->right = n->right;
        lease_node(m, s->right)->parent = next;
    }
    s->left = n->left;
    lease_node(m, s->left)->parent = next;
    put_in_place(m, root, id, next);
    /* It knows at first what was known at this place: whatever differs then goes up from there. */
    s->mono_min = n->mono_min;
    s->wall_min = n->wall_min;
    s->below = n->below;
    s->height = n->height;
    climb(m, root, from);
    climb(m, root, next);
}

uint32_t lease_tree_find(const struct lease_memory *m, uint32_t root, int64_t at)
{
    uint32_t id = lease_tree_ceil(m, root, at);
    return id != 0 && lease_node(m, id)->at == at ? id : 0;
}

uint32_t lease_tree_ceil(const struct lease_memory *m, uint32_t root, int64_t at)
{
    uint32_t found = 0;
    uint32_t id = root;
    while (id != 0) {
        const struct lease_node *n = lease_node(m, id);
        if (n->at == at) {
            return id;
        }
        if (n->at > at) {
            found = id;
            id = n->left;
        } else {
            id = n->right;
        }
    }
    return found;
}

uint32_t lease_tree_first(const struct lease_memory *m, uint32_t root)
{
    uint32_t id = root;
    while (id != 0 && lease_node(m, id)->left != 0) {
        id = lease_node(m, id)->left;
    }
    return id;
}

uint32_t lease_tree_next(const struct lease_memory *m, uint32_t id)
{
    const struct lease_node *n = lease_node(m, id);
    if (n->right != 0) {
        return lease_tree_first(m, n->right);
    }
    while (n->parent != 0 && lease_node(m, n->parent)->right == id) {
        id = n->parent;
        n = lease_node(m, id);
    }
    return n->parent;
}

uint32_t lease_tree_first_of(const struct lease_memory *m, uint32_t root, uint32_t bits)
{
    uint32_t id = root;
    if (id == 0 || (lease_node(m, id)->below & bits) == 0) {
        return 0;
    }
    for (;;) {
        const struct lease_node *n = lease_node(m, id);
        if (n->left != 0 && (lease_node(m, n->left)->below & bits) != 0) {
            id = n->left;
        } else if ((n->own & bits) != 0) {
            return id;
        } else {
            EL_ASSERT(n->right != 0);
            id = n->right;
        }
    }
}

uint32_t lease_tree_next_of(const struct lease_memory *m, uint32_t id, uint32_t bits)
{
    const struct lease_node *n = lease_node(m, id);
    uint32_t found = lease_tree_first_of(m, n->right, bits);
    while (found == 0 && n->parent != 0) {
        const struct lease_node *p = lease_node(m, n->parent);
        if (p->left == id) {
            found = (p->own & bits) != 0 ? n->parent : lease_tree_first_of(m, p->right, bits);
        }
        id = n->parent;
        n = p;
    }
    return found;
}

uint32_t lease_tree_due_mono(const struct lease_memory *m, uint32_t root, uint64_t by_ns)
{
    uint32_t id = root;
    if (id == 0 || lease_node(m, id)->mono_min > by_ns || lease_node(m, id)->mono_min == LEASE_NEVER) {
        return 0;
    }
    uint64_t first = lease_node(m, id)->mono_min;
    for (;;) {
        const struct lease_node *n = lease_node(m, id);
        if (n->left != 0 && lease_node(m, n->left)->mono_min == first) {
            id = n->left;
        } else if (own_mono(n) == first) {
            return id;
        } else {
            EL_ASSERT(n->right != 0);
            id = n->right;
        }
    }
}

uint32_t lease_tree_due_wall(const struct lease_memory *m, uint32_t root, int64_t by_ms)
{
    uint32_t id = root;
    if (id == 0 || lease_node(m, id)->wall_min == LEASE_WALL_NEVER || (int64_t)lease_node(m, id)->wall_min > by_ms) {
        return 0;
    }
    uint64_t first = lease_node(m, id)->wall_min;
    for (;;) {
        const struct lease_node *n = lease_node(m, id);
        if (n->left != 0 && lease_node(m, n->left)->wall_min == first) {
            id = n->left;
        } else if (own_wall(n) == first) {
            return id;
        } else {
            EL_ASSERT(n->right != 0);
            id = n->right;
        }
    }
}
