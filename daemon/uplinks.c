/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Opens what is configured and there, hands each its part of the plan, and remembers what went through, so
 * that an uplink is looked at only when its plan changes or a look at it is asked for. It plans
 * nothing.
 */

#include "uplinks.h"

#include "util/log.h"

#include <net/if.h>
#include <string.h>

typedef struct UplinkHold {
        const ConfigUplink *config;
        unsigned ifindex;          /* of the interface that had the name when it was last looked for */
        bool was_there;            /* at some time, and open */
        Uplink *uplink;            /* NULL while it is absent or has no known capacity */
        NetClassifier *classifier; /* NULL where there is none */
        int error;                 /* of the last apply */
        char words[256];           /* and why, in words */
        bool news;                 /* of these two, not yet taken */
        NetPlan applied;           /* the plan that last went through; no classes: look again */
} UplinkHold;

struct Uplinks {
        const char *pin_dir, *keep_dir;
        UplinkHold holds[CONFIG_UPLINKS_MAX];
        size_t n_holds;
        UplinkCapacity capacity[CONFIG_UPLINKS_MAX]; /* of those that are there, in the plan's order */
        UplinkHold *planned[CONFIG_UPLINKS_MAX];     /* the hold of each of these */
        size_t n_planned;
};

int uplinks_new(const Config *config, const char *pin_dir, const char *keep_dir, Uplinks **ret) {
        Uplinks *uplinks = calloc(1, sizeof(Uplinks));

        if (!uplinks)
                return -ENOMEM;
        uplinks->pin_dir = pin_dir;
        uplinks->keep_dir = keep_dir;
        uplinks->n_holds = config->n_uplinks;
        for (size_t i = 0; i < config->n_uplinks; i++)
                uplinks->holds[i].config = &config->uplinks[i];
        *ret = uplinks;
        return 0;
}

Uplinks *uplinks_free(Uplinks *uplinks) {
        if (!uplinks)
                return NULL;
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                net_classifier_free(uplinks->holds[i].classifier);
                uplink_free(uplinks->holds[i].uplink);
                free(uplinks->holds[i].applied.classes);
        }
        free(uplinks);
        return NULL;
}

/* What the uplink can carry: as configured, else as the link says. */
static int hold_capacity(const UplinkHold *hold, uint64_t *ret_bps) {
        if (hold->config->capacity_bps > 0) {
                *ret_bps = hold->config->capacity_bps;
                return 0;
        }
        return uplink_speed(hold->config->name, ret_bps);
}

static int hold_open(const Uplinks *uplinks, UplinkHold *hold, FeatureSet *features) {
        const UplinkOptions options = { hold->config->name, uplinks->keep_dir, hold->config->take_over };

        return uplink_new(&options, features, &hold->uplink);
}

static void hold_close(UplinkHold *hold) {
        hold->uplink = uplink_free(hold->uplink);
        hold->error = 0;
        hold->words[0] = '\0';
        hold->applied.n_classes = 0;
}

/*
 * Open as long as the interface is there and its capacity known; one that was replugged is another. Says
 * whether it came, went, or is another.
 */
static bool hold_follow(
                const Uplinks *uplinks, UplinkHold *hold, FeatureSet *features, uint64_t *ret_capacity) {
        const char *name = hold->config->name;
        unsigned ifindex = if_nametoindex(name);
        char feature[RESOURCE_NAME_SIZE];
        bool was_open = hold->uplink;
        int r = ifindex ? hold_capacity(hold, ret_capacity) : -ENODEV;

        if (hold->uplink && (r < 0 || ifindex != hold->ifindex))
                hold_close(hold);
        hold->ifindex = ifindex;
        if (hold->uplink)
                return false;

        resource_format_name(RESOURCE_NET_EGRESS, name, feature);
        if (r == -EOPNOTSUPP)
                (void) feature_set_put(features, feature, false,
                                "%s tells no speed and no capacity is configured for it: its traffic is not "
                                "shaped",
                                name);
        else {
                r = r < 0 ? r : hold_open(uplinks, hold, features);
                if (r < 0)
                        (void) feature_set_put(features, feature, false,
                                        "%s cannot be opened (%s): its traffic is not shaped", name,
                                        strerror(-r));
        }
        return was_open || hold->uplink;
}

static uint64_t or_part(uint64_t configured, uint64_t capacity, uint64_t divisor) {
        return configured != UINT64_MAX ? configured : capacity / divisor;
}

static UplinkCapacity capacity_of(const ConfigUplink *config, uint64_t capacity_bps) {
        return (UplinkCapacity){
                .name = config->name,
                .is_default = config->is_default,
                .capacity_bps = capacity_bps,
                .control_floor_bps = or_part(config->control_floor_bps, capacity_bps, 100),
                .control_ceil_bps = or_part(config->control_ceil_bps, capacity_bps, 10),
                .default_floor_bps = or_part(config->default_floor_bps, capacity_bps, 100),
        };
}

/* `old_ifindex`: before it was looked for just now. */
static void tell_replugged(const UplinkHold *hold, unsigned old_ifindex, uint32_t index, UplinksTell tell,
                void *userdata) {
        char have[32] = "gone", want[32] = "there";

        if (!hold->was_there || hold->ifindex == old_ifindex)
                return;
        if (hold->ifindex)
                snprintf(have, sizeof have, "index %u", hold->ifindex);
        if (old_ifindex)
                snprintf(want, sizeof want, "index %u", old_ifindex);
        tell(index, have, want, userdata);
}

int uplinks_refresh(Uplinks *uplinks, FeatureSet *features, ResourceSet *total, UplinksTell tell,
                void *userdata) {
        bool changed = false;

        uplinks->n_planned = 0;
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                UplinkHold *hold = &uplinks->holds[i];
                unsigned old_ifindex = hold->ifindex;
                uint64_t capacity = 0, kept;
                int r;

                changed |= hold_follow(uplinks, hold, features, &capacity);
                tell_replugged(hold, old_ifindex, (uint32_t) i, tell, userdata);
                hold->was_there = hold->was_there || hold->uplink;
                if (!hold->uplink)
                        continue;
                uplinks->capacity[uplinks->n_planned] = capacity_of(hold->config, capacity);
                kept = uplinks->capacity[uplinks->n_planned].control_floor_bps +
                       uplinks->capacity[uplinks->n_planned].default_floor_bps;
                uplinks->planned[uplinks->n_planned++] = hold;
                r = resource_set_put(total, RESOURCE_NET_EGRESS, hold->config->name,
                                (Amount){ 0, capacity > kept ? capacity - kept : 0 });
                if (r < 0)
                        return r;
        }
        return changed;
}

const UplinkCapacity *uplinks_capacity(const Uplinks *uplinks, size_t *ret_n) {
        *ret_n = uplinks->n_planned;
        return uplinks->capacity;
}

void uplinks_look_again(Uplinks *uplinks) {
        for (size_t i = 0; i < uplinks->n_holds; i++)
                uplinks->holds[i].applied.n_classes = 0;
}

void uplinks_look_again_at(Uplinks *uplinks, uint32_t index) {
        uplinks->holds[index].applied.n_classes = 0;
}

typedef struct Comparison {
        const UplinkHold *hold;
        UplinkDifference tell;
        void *userdata;
} Comparison;

/* What hung on an interface that has gone by now went with it: uplinks_refresh() tells of that. */
static void tell_if_there(const char *key, const char *have, const char *want, void *userdata) {
        const Comparison *comparison = userdata;

        if (if_nametoindex(comparison->hold->config->name) == comparison->hold->ifindex)
                comparison->tell(key, have, want, comparison->userdata);
}

void uplinks_check(Uplinks *uplinks, uint32_t index, UplinkDifference tell, void *userdata) {
        UplinkHold *hold = &uplinks->holds[index];
        Comparison comparison = { hold, tell, userdata };

        if (!hold->uplink || hold->applied.n_classes == 0)
                return; /* the next apply looks at it in any case */
        (void) uplink_compare(hold->uplink, &hold->applied, tell_if_there, &comparison);
        if (hold->classifier && !net_classifier_alive(hold->classifier))
                tell_if_there("filter", "none", "net.classify", &comparison);
}

void uplinks_keep_pins(const Uplinks *uplinks, PinTell tell, void *userdata) {
        for (size_t i = 0; i < uplinks->n_holds; i++)
                if (uplinks->holds[i].classifier)
                        net_classifier_keep_pins(uplinks->holds[i].classifier, tell, userdata);
}

static void tell_nobody(const char *key, const char *have, const char *want, void *userdata) {
}

bool uplinks_is_verified(const Uplinks *uplinks, uint32_t index) {
        const UplinkHold *hold = &uplinks->holds[index];

        return hold->uplink && hold->applied.n_classes > 0 && hold->error == 0 &&
               uplink_compare(hold->uplink, &hold->applied, tell_nobody, NULL) == 0;
}

bool uplinks_find(const Uplinks *uplinks, const LinkChange *change, uint32_t *ret_index) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                const UplinkHold *hold = &uplinks->holds[i];
                bool same = hold->ifindex > 0 && (int) hold->ifindex == change->ifindex;

                if (!same && (change->traffic || strcmp(hold->config->name, change->name) != 0))
                        continue;
                if (change->traffic && hold->uplink && change->port == uplink_port(hold->uplink))
                        return false;
                *ret_index = (uint32_t) i;
                return true;
        }
        return false;
}

static bool net_plan_equal(const NetPlan *a, const NetPlan *b) {
        if (a->capacity_bps != b->capacity_bps || a->n_classes != b->n_classes)
                return false;
        for (size_t i = 0; i < a->n_classes; i++) {
                const NetClass *x = &a->classes[i], *y = &b->classes[i];

                if (x->slot != y->slot || x->priority != y->priority || x->floor_bps != y->floor_bps ||
                                x->ceil_bps != y->ceil_bps)
                        return false;
        }
        return true;
}

static void net_plan_remember(UplinkHold *hold, const NetPlan *plan) {
        NetClass *classes = reallocarray(hold->applied.classes, plan->n_classes, sizeof(NetClass));

        if (!classes) {
                hold->applied.n_classes = 0; /* looked at again, that is all */
                return;
        }
        memcpy(classes, plan->classes, plan->n_classes * sizeof(NetClass));
        hold->applied = *plan;
        hold->applied.classes = classes;
}

/* The classifier goes with its interface, or with whoever takes the hook away. */
static void ensure_classifier(const Uplinks *uplinks, UplinkHold *hold, int groups_fd, FeatureSet *features) {
        if (groups_fd < 0 || (hold->classifier && net_classifier_alive(hold->classifier)))
                return;
        hold->classifier = net_classifier_free(hold->classifier);
        (void) net_classifier_new(
                        hold->config->name, groups_fd, uplinks->pin_dir, features, &hold->classifier);
}

/* The outcome of an apply or of its read-back: said where it is another than before. */
static void hold_note(UplinkHold *hold, int error, const char *why, FeatureSet *features) {
        const LogFields fields = { .object = hold->config->name };
        char feature[RESOURCE_NAME_SIZE], words[sizeof hold->words] = "";

        resource_format_name(RESOURCE_NET_EGRESS, hold->config->name, feature);
        if (error < 0) {
                snprintf(words, sizeof words, "%s", why && *why ? why : strerror(-error));
                (void) feature_set_put(features, feature, false, "its traffic is not shaped: %s", words);
                if (strcmp(words, hold->words) != 0)
                        log_write(LOG_WARNING, &fields, "Uplink %s is not shaped: %s", hold->config->name,
                                        words);
                hold->applied.n_classes = 0;
        } else if (hold->error < 0)
                (void) feature_set_put(features, feature, true, "shaped by HTB");
        hold->news = hold->news || error != hold->error || strcmp(words, hold->words) != 0;
        hold->error = error;
        memcpy(hold->words, words, sizeof words);
}

static void apply_uplink(const Uplinks *uplinks, UplinkHold *hold, const NetPlan *plan, int groups_fd,
                FeatureSet *features, unsigned *changes) {
        unsigned messages = 0;
        int r;

        r = uplink_apply(hold->uplink, plan, &messages);
        *changes += messages;
        hold_note(hold, r < 0 ? r : 0, uplink_words(hold->uplink), features);
        if (r >= 0) {
                net_plan_remember(hold, plan);
                ensure_classifier(uplinks, hold, groups_fd, features);
        }
}

void uplinks_apply(Uplinks *uplinks, const NetPlan *plans, int groups_fd, FeatureSet *features,
                unsigned *changes) {
        for (size_t i = 0; i < uplinks->n_planned; i++)
                if (!net_plan_equal(&uplinks->planned[i]->applied, &plans[i]))
                        apply_uplink(uplinks, uplinks->planned[i], &plans[i], groups_fd, features, changes);
}

void uplinks_observe(Uplinks *uplinks, NetPlan *ret) {
        for (size_t i = 0; i < uplinks->n_planned; i++)
                if (uplink_observe(uplinks->planned[i]->uplink, NULL, &ret[i]) < 0)
                        ret[i] = (NetPlan){};
}

void uplinks_read_back(Uplinks *uplinks, FeatureSet *features, NetPlan *ret) {
        for (size_t i = 0; i < uplinks->n_planned; i++) {
                UplinkHold *hold = uplinks->planned[i];
                const NetPlan *applied = hold->applied.n_classes > 0 ? &hold->applied : NULL;
                int r = uplink_observe(hold->uplink, applied, &ret[i]);

                if (r < 0)
                        ret[i] = (NetPlan){};
                if (r != 0 && applied)
                        hold_note(hold, r < 0 ? r : -EREMOTEIO, uplink_words(hold->uplink), features);
        }
}

void uplinks_read_stats(Uplinks *uplinks, NetStats *ret) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                Uplink *uplink = uplinks->holds[i].uplink;

                if (!uplink || uplink_read_stats(uplink, &ret[i]) < 0)
                        ret[i] = (NetStats){};
        }
}

bool uplinks_take_news(Uplinks *uplinks) {
        bool news = false;

        for (size_t i = 0; i < uplinks->n_holds; i++) {
                news = news || uplinks->holds[i].news;
                uplinks->holds[i].news = false;
        }
        return news;
}

const char *uplinks_refusal(const Uplinks *uplinks, size_t i) {
        return uplinks->planned[i]->error < 0 ? uplinks->planned[i]->words : NULL;
}

const char *uplinks_problem(const Uplinks *uplinks, size_t i, const ResourceSet *share) {
        const UplinkCapacity *uplink = &uplinks->capacity[i];
        bool named = resource_set_get(share, RESOURCE_NET_EGRESS, uplink->name) ||
                     (uplink->is_default && resource_set_get(share, RESOURCE_NET_EGRESS, ""));

        return named ? uplinks_refusal(uplinks, i) : NULL;
}

void uplinks_release(Uplinks *uplinks, int groups_fd) {
        FeatureSet features = FEATURE_SET_NULL; /* nobody asks any more */

        for (size_t i = 0; i < uplinks->n_holds; i++) {
                UplinkHold *hold = &uplinks->holds[i];

                /* One that an earlier run left is taken over first: then it is known what on the hook is
                 * ours. */
                ensure_classifier(uplinks, hold, groups_fd, &features);
                if (hold->classifier)
                        (void) net_classifier_release(hold->classifier);
                /* One that tells no speed now may have told one before. */
                if (hold->uplink || hold_open(uplinks, hold, &features) >= 0)
                        (void) uplink_release(hold->uplink);
        }
        feature_set_deinit(&features);
}
