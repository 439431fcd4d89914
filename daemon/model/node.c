/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The node's tenants, and the slots that they hold. */

#include "node.h"

#include "util/strv.h"

#include <assert.h>
#include <string.h>

static const char *const state_names[NODE_STATE_MAX] = { "ok", "degraded" };

const char *node_state_to_string(NodeState state) {
        assert(state < NODE_STATE_MAX);
        return state_names[state];
}

Tenant *tenant_free(Tenant *tenant) {
        if (!tenant)
                return NULL;
        free(tenant->id);
        free(tenant->control_group);
        resource_set_deinit(&tenant->desired);
        resource_set_deinit(&tenant->effective);
        strv_free(tenant->problems);
        free(tenant);
        return NULL;
}

void node_deinit(Node *node) {
        for (size_t i = 0; i < node->n_tenants; i++)
                tenant_free(node->tenants[i]);
        free(node->tenants);
        free(node->node_id);
        free(node->boot_id);
        resource_set_deinit(&node->capacity);
        feature_set_deinit(&node->features);
        calendar_deinit(&node->calendar);
        *node = (Node){};
}

static size_t node_search(const Node *node, const char *id, bool *ret_found) {
        size_t i;

        *ret_found = false;
        for (i = 0; i < node->n_tenants; i++) {
                int order = strcmp(node->tenants[i]->id, id);

                if (order >= 0) {
                        *ret_found = order == 0;
                        break;
                }
        }
        return i;
}

Tenant *node_find_tenant(const Node *node, const char *id) {
        bool found;
        size_t i = node_search(node, id, &found);

        return found ? node->tenants[i] : NULL;
}

static bool slot_is_taken(const Node *node, uint32_t slot) {
        for (size_t i = 0; i < node->n_tenants; i++)
                if (node->tenants[i]->slot == slot)
                        return true;
        return false;
}

int node_add_tenant(Node *node, const char *id, uint32_t slot_max, Tenant **ret) {
        _cleanup_tenant_ Tenant *tenant = NULL;
        Tenant **tenants;
        uint32_t slot = SLOT_FIRST;
        bool found;
        size_t i;

        i = node_search(node, id, &found);
        if (found)
                return -EEXIST;
        while (slot <= slot_max && slot_is_taken(node, slot))
                slot++;
        if (slot > slot_max)
                return -ENOSPC;
        tenant = calloc(1, sizeof(Tenant));
        if (!tenant)
                return -ENOMEM;
        tenant->id = strdup(id);
        tenant->slot = slot;
        tenant->residual = true;
        tenants = reallocarray(node->tenants, node->n_tenants + 1, sizeof(Tenant *));
        if (!tenant->id || !tenants) {
                node->tenants = tenants ?: node->tenants;
                return -ENOMEM;
        }
        memmove(tenants + i + 1, tenants + i, (node->n_tenants - i) * sizeof(Tenant *));
        tenants[i] = TAKE_PTR(tenant);
        node->tenants = tenants;
        node->n_tenants++;
        *ret = tenants[i];
        return 0;
}

void node_remove_tenant(Node *node, const char *id) {
        bool found;
        size_t i = node_search(node, id, &found);

        if (!found)
                return;
        tenant_free(node->tenants[i]);
        node->n_tenants--;
        memmove(node->tenants + i, node->tenants + i + 1, (node->n_tenants - i) * sizeof(Tenant *));
}
