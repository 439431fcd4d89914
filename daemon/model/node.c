/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The node's tenants, and the slots that they hold. */

#include "node.h"
#include "sorted.h"

#include "util/strv.h"

#include <assert.h>
#include <string.h>

static const char *const state_names[NODE_STATE_MAX] = { "ok", "degraded", "draining" };

const char *node_state_to_string(NodeState state) {
        assert(state < NODE_STATE_MAX);
        return state_names[state];
}

const char *tenant_mode_to_string(bool observed) {
        return observed ? "observe" : "enforce";
}

int tenant_mode_from_string(const char *s, bool *ret_observed) {
        for (int observed = 0; observed < 2; observed++)
                if (strcmp(s, tenant_mode_to_string(observed)) == 0) {
                        *ret_observed = observed;
                        return 0;
                }
        return -EINVAL;
}

int blames_push(Blames *blames, const char *culprit, uint64_t nsec) {
        Blame *entries = reallocarray(blames->entries, blames->n + 1, sizeof(Blame));

        if (!entries)
                return -ENOMEM;
        blames->entries = entries;
        entries[blames->n++] = (Blame){ culprit, nsec };
        return 0;
}

static int blame_compare_names(const void *a, const void *b) {
        return strcmp(((const Blame *) a)->culprit, ((const Blame *) b)->culprit);
}

/* What several slots add to one name is one entry. */
static void blames_merge(Blames *blames) {
        size_t n = 0;

        qsort(blames->entries, blames->n, sizeof(Blame), blame_compare_names);
        for (size_t i = 0; i < blames->n; i++) {
                Blame *entry = &blames->entries[i];

                if (n > 0 && strcmp(blames->entries[n - 1].culprit, entry->culprit) == 0)
                        blames->entries[n - 1].nsec += entry->nsec;
                else
                        blames->entries[n++] = *entry;
        }
        blames->n = n;
}

static int blame_compare(const void *a, const void *b) {
        const Blame *x = a, *y = b;

        return x->nsec > y->nsec ? -1 : x->nsec < y->nsec ? 1 : strcmp(x->culprit, y->culprit);
}

void blames_sort(Blames *blames) {
        if (blames->n == 0)
                return;
        blames_merge(blames);
        qsort(blames->entries, blames->n, sizeof(Blame), blame_compare);
}

/* By the very pointer: it is about to be freed. */
static void blames_forget(Blames *blames, const char *culprit) {
        size_t kept = 0;

        for (size_t i = 0; i < blames->n; i++)
                if (blames->entries[i].culprit != culprit)
                        blames->entries[kept++] = blames->entries[i];
        blames->n = kept;
}

void blames_deinit(Blames *blames) {
        free(blames->entries);
        *blames = (Blames){};
}

Tenant *tenant_free(Tenant *tenant) {
        if (!tenant)
                return NULL;
        free(tenant->id);
        free(tenant->control_group);
        adopted_groups_deinit(&tenant->adopted);
        free(tenant->assigned_cpus);
        resource_set_deinit(&tenant->desired);
        resource_set_deinit(&tenant->effective);
        strv_free(tenant->problems);
        strv_free(tenant->remains);
        blames_deinit(&tenant->blames);
        free(tenant->victims);
        block_latencies_deinit(&tenant->latencies);
        uplink_usages_deinit(&tenant->uplinks);
        free(tenant);
        return NULL;
}

void node_deinit(Node *node) {
        for (size_t i = 0; i < node->n_tenants; i++)
                tenant_free(node->tenants[i]);
        free(node->tenants);
        free(node->news);
        free(node->node_id);
        free(node->boot_id);
        free(node->drain_reason);
        resource_set_deinit(&node->capacity);
        resource_set_deinit(&node->operator_capacity);
        feature_set_deinit(&node->features);
        calendar_deinit(&node->calendar);
        drift_log_deinit(&node->drift);
        *node = (Node){};
}

static int compare_tenant(const void *entry, const void *id) {
        return strcmp((*(Tenant *const *) entry)->id, id);
}

static size_t node_search(const Node *node, const char *id, bool *ret_found) {
        return sorted_search(node->tenants, node->n_tenants, sizeof(Tenant *), id, compare_tenant, ret_found);
}

Tenant *node_find_tenant(const Node *node, const char *id) {
        bool found;
        size_t i = node_search(node, id, &found);

        return found ? node->tenants[i] : NULL;
}

/* The lowest that no tenant has: with n tenants, one of the first n + 1. */
static int find_slot(const Node *node, uint32_t slot_max, uint32_t *ret) {
        _cleanup_free_ bool *taken = calloc(node->n_tenants + 1, sizeof(bool));
        uint32_t i = 0;

        if (!taken)
                return -ENOMEM;
        for (size_t k = 0; k < node->n_tenants; k++)
                if (node->tenants[k]->slot - SLOT_FIRST < node->n_tenants)
                        taken[node->tenants[k]->slot - SLOT_FIRST] = true;
        while (taken[i])
                i++;
        if (i > slot_max - SLOT_FIRST)
                return -ENOSPC;
        *ret = SLOT_FIRST + i;
        return 0;
}

int node_add_tenant(Node *node, const char *id, uint32_t slot_max, Tenant **ret) {
        _cleanup_tenant_ Tenant *tenant = NULL;
        Tenant **tenants, **news;
        uint32_t slot;
        bool found;
        size_t i;
        int r;

        i = node_search(node, id, &found);
        if (found)
                return -EEXIST;
        r = find_slot(node, slot_max, &slot);
        if (r < 0)
                return r;
        tenant = calloc(1, sizeof(Tenant));
        if (!tenant)
                return -ENOMEM;
        tenant->id = strdup(id);
        tenant->slot = slot;
        tenant->residual = true;
        tenants = reallocarray(node->tenants, node->n_tenants + 1, sizeof(Tenant *));
        node->tenants = tenants ?: node->tenants;
        news = reallocarray(node->news, node->n_tenants + 1, sizeof(Tenant *));
        node->news = news ?: node->news;
        if (!tenant->id || !tenants || !news)
                return -ENOMEM;
        memmove(tenants + i + 1, tenants + i, (node->n_tenants - i) * sizeof(Tenant *));
        tenants[i] = TAKE_PTR(tenant);
        node->n_tenants++;
        calendar_mark(&node->calendar, id);
        *ret = tenants[i];
        return 0;
}

static void drop_news(Node *node, const Tenant *tenant) {
        size_t kept = 0;

        for (size_t i = 0; tenant->listed && i < node->n_news; i++)
                if (node->news[i] != tenant)
                        node->news[kept++] = node->news[i];
        if (tenant->listed)
                node->n_news = kept;
}

void node_remove_tenant(Node *node, const char *id) {
        bool found;
        size_t i = node_search(node, id, &found);

        if (!found)
                return;
        calendar_mark(&node->calendar, id);
        drop_news(node, node->tenants[i]);
        for (size_t k = 0; k < node->n_tenants; k++)
                blames_forget(&node->tenants[k]->blames, node->tenants[i]->id);
        node->n_troubled -= node->tenants[i]->problems != NULL;
        tenant_free(node->tenants[i]);
        node->n_tenants--;
        memmove(node->tenants + i, node->tenants + i + 1, (node->n_tenants - i) * sizeof(Tenant *));
}

bool node_read_duration(const Node *node, const Tenant *tenant, Duration duration, Histogram *ret) {
        return node->durations.read && node->durations.read(node->durations.userdata, tenant, duration, ret);
}

void node_note_news(Node *node, Tenant *tenant) {
        if (!tenant->listed)
                node->news[node->n_news++] = tenant;
        tenant->listed = tenant->changed = true;
}

Tenant *node_next_marked(const Node *node, size_t *cursor) {
        const CalendarMarks *marks = &node->calendar.marks;
        Tenant *tenant = NULL;

        if (marks->all)
                return *cursor < node->n_tenants ? node->tenants[(*cursor)++] : NULL;
        while (!tenant && *cursor < marks->n)
                tenant = node_find_tenant(node, marks->ids[(*cursor)++]);
        return tenant;
}
