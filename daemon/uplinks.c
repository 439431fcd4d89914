/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Opens what is configured and there, hands each its part of the plan, and remembers what went through, so
 * that an uplink is looked at only when its plan changes or a look at it is asked for. It plans
 * nothing. What goes out and what comes in are held alike, on the uplink itself and on an IFB.
 */

#include "uplinks.h"

#include "decide/overrun.h"
#include "enforce/edt-pacer.h"
#include "enforce/net-ingress.h"
#include "util/log.h"

#include <inttypes.h>
#include <net/if.h>
#include <string.h>

typedef struct UplinkHold {
        const ConfigUplink *config;
        ResourceKind kind;         /* RESOURCE_NET_EGRESS, or RESOURCE_NET_INGRESS */
        const char *device;        /* the uplink's name, or its IFB's; NULL: that one is not there */
        unsigned ifindex;          /* of the interface that had this name when it was last looked for */
        bool was_there;            /* at some time, and open */
        uint64_t capacity_bps;     /* when it was last looked for */
        Uplink *uplink;            /* NULL while it is absent or has no known capacity */
        NetClassifier *classifier; /* of what goes out; NULL where there is none */
        NetIngress *ingress;       /* of what comes in; NULL where the uplink is not there */
        Overrun overrun;           /* of that */
        int error;                 /* of the last apply */
        char words[256];           /* and why, in words */
        bool news;                 /* of these two, not yet taken */
        NetPlan applied;           /* the plan that last went through; no classes: look again */
        bool read_back;            /* and was found there */
        bool told_fallback;        /* uplink_fallback() of the open one */
        NetStats left;             /* what one that is closed by now had counted and not told */
} UplinkHold;

struct Uplinks {
        const char *pin_dir, *keep_dir;
        const Config *config;
        UplinkHold holds[UPLINK_PLANS_MAX];
        size_t n_holds;
        UplinkCapacity capacity[UPLINK_PLANS_MAX]; /* of those that are there, in the plan's order */
        UplinkHold *planned[UPLINK_PLANS_MAX];     /* the hold of each of these */
        size_t n_planned;
        Table addresses; /* of network namespaces; not open until it is needed */
        NetLocal *local; /* NULL: not opened, or not to be had */
        bool local_tried, local_due;
};

static uint32_t hold_index(const Uplinks *uplinks, const UplinkHold *hold) {
        return (uint32_t) (hold->config - uplinks->config->uplinks);
}

int uplinks_new(const Config *config, const char *pin_dir, const char *keep_dir, Uplinks **ret) {
        Uplinks *uplinks = calloc(1, sizeof(Uplinks));

        if (!uplinks)
                return -ENOMEM;
        uplinks->pin_dir = pin_dir;
        uplinks->keep_dir = keep_dir;
        uplinks->config = config;
        uplinks->local_due = true;
        uplinks->addresses = (Table) TABLE_NULL;
        for (size_t i = 0; i < config->n_uplinks; i++) {
                const ConfigUplink *uplink = &config->uplinks[i];

                uplinks->holds[uplinks->n_holds++] = (UplinkHold){
                        .config = uplink, .kind = RESOURCE_NET_EGRESS, .device = uplink->name
                };
                if (uplink->ingress_bps > 0)
                        uplinks->holds[uplinks->n_holds++] =
                                        (UplinkHold){ .config = uplink, .kind = RESOURCE_NET_INGRESS };
        }
        *ret = uplinks;
        return 0;
}

Uplinks *uplinks_free(Uplinks *uplinks) {
        if (!uplinks)
                return NULL;
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                net_classifier_free(uplinks->holds[i].classifier);
                net_ingress_free(uplinks->holds[i].ingress);
                uplink_free(uplinks->holds[i].uplink);
                free(uplinks->holds[i].applied.classes);
                net_stats_deinit(&uplinks->holds[i].left);
        }
        net_local_free(uplinks->local);
        table_deinit(&uplinks->addresses);
        free(uplinks);
        return NULL;
}

/* What the uplink can carry: as configured, else as the link says. */
static int hold_capacity(const UplinkHold *hold, uint64_t *ret_bps) {
        if (hold->kind == RESOURCE_NET_INGRESS) {
                *ret_bps = hold->config->ingress_bps;
                return 0;
        }
        if (hold->config->capacity_bps > 0) {
                *ret_bps = hold->config->capacity_bps;
                return 0;
        }
        return uplink_speed(hold->config->name, ret_bps);
}

/* The classes may go on, and be read by the next that is opened: it does not know which of them were made
 * since the last reading. */
static void hold_close(UplinkHold *hold) {
        NetStats left = {};

        if (hold->uplink)
                uplink_part(hold->uplink, &left);
        if (left.n > 0 && net_stats_add_kept(&hold->left, &left) >= 0)
                hold->left = left;
        else
                net_stats_deinit(&left);
        hold->uplink = uplink_free(hold->uplink);
        hold->told_fallback = false;
        hold->error = 0;
        hold->words[0] = '\0';
        hold->applied.n_classes = 0;
}

/* The IFB of the uplink that has the name now, made where there is none. */
static int follow_ingress(const Uplinks *uplinks, UplinkHold *hold) {
        int r;

        if (hold->ingress && net_ingress_stands(hold->ingress))
                return 0;
        hold_close(hold);
        hold->ingress = net_ingress_free(hold->ingress);
        hold->device = NULL;
        r = net_ingress_new(hold->config->name, uplinks->pin_dir, &hold->ingress);
        if (r >= 0)
                hold->device = net_ingress_device(hold->ingress);
        return r;
}

/* What goes out is shaped on the uplink; what comes in on a device that is named for us alone, by HTB. */
static int hold_open(const Uplinks *uplinks, UplinkHold *hold, uint64_t capacity_bps, FeatureSet *features) {
        const bool out = hold->kind == RESOURCE_NET_EGRESS;
        const UplinkOptions options = {
                .ifname = hold->device,
                .keep_dir = uplinks->keep_dir,
                .take_over = out && hold->config->take_over,
                .discipline = out ? (NetDiscipline) hold->config->discipline : NET_DISCIPLINE_HTB,
                .capacity_bps = capacity_bps,
                .pin_dir = out ? uplinks->pin_dir : NULL,
        };
        char egress[RESOURCE_NAME_SIZE], ingress[RESOURCE_NAME_SIZE];
        FeatureSet found = FEATURE_SET_NULL;
        const Feature *feature;
        int r;

        if (out)
                return uplink_new(&options, features, &hold->uplink);
        r = uplink_new(&options, &found, &hold->uplink);
        resource_format_name(RESOURCE_NET_EGRESS, hold->device, egress);
        resource_format_name(RESOURCE_NET_INGRESS, hold->config->name, ingress);
        feature = feature_set_get(&found, egress);
        if (r >= 0 && feature)
                r = feature_set_put(features, ingress, feature->available, "queued in %s: %s", hold->device,
                                feature->words);
        feature_set_deinit(&found);
        return r;
}

/*
 * Open as long as the interface is there and its capacity known; one that was replugged is another. Says
 * whether it came, went, or is another.
 */
static bool hold_follow(
                const Uplinks *uplinks, UplinkHold *hold, FeatureSet *features, uint64_t *ret_capacity) {
        const char *name = hold->config->name;
        char feature[RESOURCE_NAME_SIZE];
        bool was_open = hold->uplink;
        int r = hold->kind == RESOURCE_NET_INGRESS ? follow_ingress(uplinks, hold) : 0;
        unsigned ifindex = hold->device ? if_nametoindex(hold->device) : 0;

        if (r >= 0)
                r = ifindex ? hold_capacity(hold, ret_capacity) : -ENODEV;

        if (hold->uplink && (r < 0 || ifindex != hold->ifindex ||
                                            uplink_is_outgrown(hold->uplink, *ret_capacity)))
                hold_close(hold);
        hold->ifindex = ifindex;
        if (hold->uplink)
                return false;

        resource_format_name(hold->kind, name, feature);
        if (r == -EOPNOTSUPP && hold->kind == RESOURCE_NET_INGRESS)
                (void) feature_set_put(features, feature, false,
                                "this kernel has no IFB (CONFIG_IFB): what comes in at %s is not shaped",
                                name);
        else if (r == -EOPNOTSUPP)
                (void) feature_set_put(features, feature, false,
                                "%s tells no speed and no capacity is configured for it: its traffic is not "
                                "shaped",
                                name);
        else {
                if (r >= 0 && hold->kind == RESOURCE_NET_EGRESS && hold->config->ingress_bps == 0)
                        (void) net_ingress_remove(name, uplinks->pin_dir); /* of another configuration */
                r = r < 0 ? r : hold_open(uplinks, hold, *ret_capacity, features);
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

/* Preamble, check sequence and gap, of which the kernel sees nothing and the link's speed everything. What an
 * operator says is the capacity may be another's figure, of whatever he means. */
#define ETHERNET_OVERHEAD_BYTES 24U

static uint64_t overhead_of(const ConfigUplink *config) {
        if (config->overhead_bytes != UINT64_MAX)
                return config->overhead_bytes;
        return config->capacity_bps > 0 ? 0 : ETHERNET_OVERHEAD_BYTES;
}

/* What is configured of the other two classes is of what goes out. */
static UplinkCapacity capacity_of(const UplinkHold *hold, uint64_t capacity_bps) {
        const ConfigUplink *config = hold->config;
        bool out = hold->kind == RESOURCE_NET_EGRESS;

        return (UplinkCapacity){
                .kind = hold->kind,
                .name = config->name,
                .device = hold->device,
                .is_default = config->is_default,
                .capacity_bps = capacity_bps,
                .overhead_bytes = (uint16_t) (out ? overhead_of(config) : 0),
                .control_floor_bps = or_part(out ? config->control_floor_bps : UINT64_MAX, capacity_bps, 100),
                .control_ceil_bps = or_part(out ? config->control_ceil_bps : UINT64_MAX, capacity_bps, 10),
                .default_floor_bps = or_part(out ? config->default_floor_bps : UINT64_MAX, capacity_bps, 100),
        };
}

/* `old_ifindex`: before it was looked for just now. */
static void tell_replugged(const UplinkHold *hold, unsigned old_ifindex, uint32_t index, UplinksTell tell,
                void *userdata) {
        char have[32] = "gone", want[32] = "there";

        if (!hold->was_there || hold->ifindex == old_ifindex ||
                        (hold->kind == RESOURCE_NET_INGRESS && !hold->device))
                return; /* an IFB goes with its uplink, of which it is told */
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
                changed |= hold->uplink && capacity != hold->capacity_bps;
                hold->capacity_bps = capacity;
                tell_replugged(hold, old_ifindex, hold_index(uplinks, hold), tell, userdata);
                hold->was_there = hold->was_there || hold->uplink;
                if (!hold->uplink)
                        continue;
                uplinks->capacity[uplinks->n_planned] = capacity_of(hold, capacity);
                kept = uplinks->capacity[uplinks->n_planned].control_floor_bps +
                       uplinks->capacity[uplinks->n_planned].default_floor_bps;
                uplinks->planned[uplinks->n_planned++] = hold;
                r = resource_set_put(total, hold->kind, hold->config->name,
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
        for (size_t i = 0; i < uplinks->n_holds; i++)
                if (hold_index(uplinks, &uplinks->holds[i]) == index)
                        uplinks->holds[i].applied.n_classes = 0;
}

typedef struct Comparison {
        const UplinkHold *hold;
        UplinkDifference tell;
        void *userdata;
} Comparison;

/* What hung on an interface that has gone by now went with it: uplinks_refresh() tells of that. */
static void tell_if_there(const char *key, const char *have, const char *want, void *userdata) {
        const Comparison *comparison = userdata;

        if (if_nametoindex(comparison->hold->device) == comparison->hold->ifindex)
                comparison->tell(key, have, want, comparison->userdata);
}

static void hold_check(const UplinkHold *hold, UplinkDifference tell, void *userdata) {
        Comparison comparison = { hold, tell, userdata };

        if (!hold->uplink || hold->applied.n_classes == 0)
                return; /* the next apply looks at it in any case */
        (void) uplink_compare(hold->uplink, &hold->applied, tell_if_there, &comparison);
        if (hold->classifier && !net_classifier_alive(hold->classifier))
                tell_if_there("filter", "none", "net.classify", &comparison);
        if (hold->ingress && !net_ingress_alive(hold->ingress))
                tell_if_there("filter", "none", "net.ingress", &comparison);
}

void uplinks_check(Uplinks *uplinks, uint32_t index, UplinkDifference tell, void *userdata) {
        for (size_t i = 0; i < uplinks->n_holds; i++)
                if (hold_index(uplinks, &uplinks->holds[i]) == index)
                        hold_check(&uplinks->holds[i], tell, userdata);
}

/* Pins of an interface that is no more were taken away by us, or are to be. */
void uplinks_keep_pins(const Uplinks *uplinks, PinTell tell, void *userdata) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                const UplinkHold *hold = &uplinks->holds[i];

                if (!hold->device || hold->ifindex == 0 || if_nametoindex(hold->device) != hold->ifindex)
                        continue;
                if (hold->classifier)
                        net_classifier_keep_pins(hold->classifier, tell, userdata);
                if (hold->uplink)
                        uplink_keep_pins(hold->uplink, tell, userdata);
        }
}

static void tell_nobody(const char *key, const char *have, const char *want, void *userdata) {
}

bool uplinks_is_verified(const Uplinks *uplinks, uint32_t index) {
        bool verified = true;

        for (size_t i = 0; verified && i < uplinks->n_holds; i++) {
                const UplinkHold *hold = &uplinks->holds[i];

                if (hold_index(uplinks, hold) == index)
                        verified = hold->uplink && hold->applied.n_classes > 0 && hold->error == 0 &&
                                   uplink_compare(hold->uplink, &hold->applied, tell_nobody, NULL) == 0 &&
                                   (!hold->ingress || net_ingress_alive(hold->ingress));
        }
        return verified;
}

bool uplinks_find(const Uplinks *uplinks, const LinkChange *change, uint32_t *ret_index) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                const UplinkHold *hold = &uplinks->holds[i];
                bool same = hold->ifindex > 0 && (int) hold->ifindex == change->ifindex;

                if (!same && (change->traffic || !hold->device || strcmp(hold->device, change->name) != 0))
                        continue;
                if (change->traffic && hold->uplink && change->port == uplink_port(hold->uplink))
                        return false;
                *ret_index = hold_index(uplinks, hold);
                return true;
        }
        return false;
}

static void net_plan_remember(UplinkHold *hold, const NetPlan *plan, bool read_back) {
        NetClass *classes = reallocarray(hold->applied.classes, plan->n_classes, sizeof(NetClass));

        if (!classes) {
                hold->applied.n_classes = 0; /* looked at again, that is all */
                return;
        }
        memcpy(classes, plan->classes, plan->n_classes * sizeof(NetClass));
        hold->applied = *plan;
        hold->applied.classes = classes;
        hold->read_back = read_back;
}

/* The classifier goes with its interface, or with whoever takes the hook away. */
static void ensure_classifier(const Uplinks *uplinks, UplinkHold *hold, int groups_fd, FeatureSet *features) {
        if (groups_fd < 0 || (hold->classifier && net_classifier_alive(hold->classifier)))
                return;
        hold->classifier = net_classifier_free(hold->classifier);
        (void) net_classifier_new(
                        hold->config->name, groups_fd, uplinks->pin_dir, features, &hold->classifier);
}

static int addresses_fd(Uplinks *uplinks) {
        if (uplinks->addresses.fd < 0)
                (void) net_addresses_open(uplinks->pin_dir, &uplinks->addresses);
        return uplinks->addresses.fd;
}

static const char *ensure_ingress(
                Uplinks *uplinks, UplinkHold *hold, int groups_fd, FeatureSet *features, int *ret_error) {
        const char *words = NULL;

        *ret_error = 0;
        if (groups_fd < 0 && groups_fd != -EOPNOTSUPP)
                return NULL;
        for (size_t i = 0; i < uplinks->n_planned; i++) /* the clsact is the classifier's to make */
                if (uplinks->planned[i]->config == hold->config && !uplinks->planned[i]->ingress)
                        ensure_classifier(uplinks, uplinks->planned[i], groups_fd, features);
        *ret_error = net_ingress_attach(hold->ingress, groups_fd, addresses_fd(uplinks), &words);
        return *ret_error < 0 ? words : NULL;
}

/* The outcome of an apply or of its read-back: said where it is another than before. */
static void hold_note(UplinkHold *hold, int error, const char *why, FeatureSet *features) {
        const LogFields fields = { .object = hold->config->name };
        char feature[RESOURCE_NAME_SIZE], words[sizeof hold->words] = "";

        resource_format_name(hold->kind, hold->config->name, feature);
        if (error < 0) {
                snprintf(words, sizeof words, "%s", why && *why ? why : strerror(-error));
                (void) feature_set_put(features, feature, false, "its traffic is not shaped: %s", words);
                if (strcmp(words, hold->words) != 0)
                        log_write(LOG_WARNING, &fields, "Uplink %s is not shaped: %s", hold->device, words);
                hold->applied.n_classes = 0;
        } else if (hold->error < 0)
                (void) feature_set_put(features, feature, true, "shaped by %s", uplink_how(hold->uplink));
        hold->news = hold->news || error != hold->error || strcmp(words, hold->words) != 0;
        hold->error = error;
        memcpy(hold->words, words, sizeof words);
}

static void hold_note_fallback(UplinkHold *hold, FeatureSet *features) {
        const LogFields fields = { .object = hold->config->name };
        const char *words = uplink_fallback(hold->uplink);
        char feature[RESOURCE_NAME_SIZE];

        if (!words || hold->error < 0)
                return; /* why it is not shaped goes before by what it was */
        resource_format_name(hold->kind, hold->config->name, feature);
        (void) feature_set_put(features, feature, true,
                        "shaped by HTB, since times of departure can't be put in force: %s", words);
        if (hold->told_fallback)
                return;
        log_write(LOG_WARNING, &fields, "Uplink %s is shaped by HTB, not by times of departure: %s",
                        hold->device, words);
        hold->told_fallback = true;
}

/* Nothing but what differs from it needs to be looked at. */
static bool hold_is_read_back(const UplinkHold *hold) {
        return hold->read_back && hold->applied.n_classes > 0;
}

static void apply_uplink(Uplinks *uplinks, UplinkHold *hold, const NetPlan *plan, int groups_fd,
                FeatureSet *features, unsigned *changes) {
        unsigned messages = 0;
        bool read_back = false;
        const char *words;
        int r = -ESTALE;

        if (hold_is_read_back(hold))
                r = uplink_change(hold->uplink, &hold->applied, plan, &messages);
        if (r >= 0)
                read_back = r > 0;
        else
                r = uplink_apply(hold->uplink, plan, &messages);
        *changes += messages;
        words = uplink_words(hold->uplink);
        if (r >= 0) {
                net_plan_remember(hold, plan, read_back);
                if (hold->ingress)
                        words = ensure_ingress(uplinks, hold, groups_fd, features, &r);
        }
        hold_note(hold, r < 0 ? r : 0, words, features);
        hold_note_fallback(hold, features);
        if (r >= 0 && !hold->ingress)
                ensure_classifier(uplinks, hold, groups_fd, features);
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
                int r = hold_is_read_back(hold) ? uplink_expect(hold->uplink, applied, &ret[i]) : -ENODATA;

                if (r < 0)
                        r = uplink_observe(hold->uplink, applied, &ret[i]);
                hold->read_back = r == 0;
                if (r < 0)
                        ret[i] = (NetPlan){};
                if (r != 0 && applied)
                        hold_note(hold, r < 0 ? r : -EREMOTEIO, uplink_words(hold->uplink), features);
        }
}

/* What is left of another interface of the name is told by itself, before anything of this one. */
static void hold_read_stats(UplinkHold *hold, NetStats *ret) {
        const bool is_another = hold->left.n > 0 && (unsigned) hold->left.ifindex != hold->ifindex;
        NetStats stats = {};

        if (!hold->uplink || is_another || uplink_read_stats(hold->uplink, &stats) < 0 ||
                        net_stats_add_kept(&hold->left, &stats) < 0) {
                net_stats_deinit(&stats);
                stats = hold->left;
                hold->left = (NetStats){};
        }
        *ret = stats;
        ret->uplink = hold->config->name;
}

void uplinks_read_stats(Uplinks *uplinks, ResourceKind kind, NetStats *ret) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                UplinkHold *hold = &uplinks->holds[i];

                if (hold->kind == kind)
                        hold_read_stats(hold, &ret[hold_index(uplinks, hold)]);
        }
}

bool uplinks_have_left(const Uplinks *uplinks) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                const UplinkHold *hold = &uplinks->holds[i];

                if (hold->left.n > 0 || (hold->uplink && uplink_keeps_stats(hold->uplink)))
                        return true;
        }
        return false;
}

static bool look_for_overrun(UplinkHold *hold, uint64_t boot_usec) {
        const LogFields fields = { .object = hold->config->name };
        uint64_t bytes;

        if (!hold->uplink || !hold->ingress || net_ingress_arrived(hold->ingress, &bytes) < 0 ||
                        !overrun_note(&hold->overrun, boot_usec, bytes, hold->config->ingress_bps))
                return false;
        log_write(hold->overrun.over ? LOG_WARNING : LOG_INFO, &fields,
                        "Uplink %s: %s comes in than its %" PRIu64 " bit/s", hold->config->name,
                        hold->overrun.over ? "more" : "no more", hold->config->ingress_bps);
        hold->news = true;
        return true;
}

bool uplinks_look_for_overruns(Uplinks *uplinks, uint64_t boot_usec) {
        bool news = false;

        for (size_t i = 0; i < uplinks->n_holds; i++)
                news |= look_for_overrun(&uplinks->holds[i], boot_usec);
        return news;
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

/* NULL: it names another. */
static const Amount *amount_at(const UplinkCapacity *uplink, const ResourceSet *share) {
        const Amount *amount = resource_set_get(share, uplink->kind, uplink->name);

        return amount || !uplink->is_default ? amount : resource_set_get(share, uplink->kind, "");
}

const char *uplinks_problem(const Uplinks *uplinks, size_t i, const ResourceSet *share) {
        return amount_at(&uplinks->capacity[i], share) ? uplinks_refusal(uplinks, i) : NULL;
}

bool uplinks_is_overrun(const Uplinks *uplinks, size_t i, const ResourceSet *share) {
        const Amount *amount = amount_at(&uplinks->capacity[i], share);

        return uplinks->planned[i]->overrun.over && amount && amount->reserved > 0;
}

void uplinks_note_other(Uplinks *uplinks, const LinkChange *change) {
        if (!change->traffic || (uplinks->local && net_local_look_again_at(uplinks->local,
                                                                   (unsigned) change->ifindex)))
                uplinks->local_due = true;
}

void uplinks_follow_namespaces(
                Uplinks *uplinks, int groups_fd, int rows_fd, uint32_t slots, FeatureSet *features) {
        const char *names[CONFIG_UPLINKS_MAX];

        if (!uplinks->local_tried) {
                uplinks->local_tried = true;
                if (uplinks->config->n_uplinks > 0 && uplinks->config->namespaces) {
                        const NetLocalOptions options = { groups_fd, rows_fd, slots, addresses_fd(uplinks),
                                uplinks->pin_dir };

                        (void) net_local_new(&options, features, &uplinks->local);
                } else
                        (void) net_local_remove(uplinks->pin_dir); /* of another configuration */
        }
        if (!uplinks->local || !uplinks->local_due)
                return;
        for (size_t i = 0; i < uplinks->config->n_uplinks; i++)
                names[i] = uplinks->config->uplinks[i].name;
        uplinks->local_due = net_local_follow(uplinks->local, names, uplinks->config->n_uplinks) < 0;
}

void uplinks_release(Uplinks *uplinks, int groups_fd) {
        FeatureSet features = FEATURE_SET_NULL; /* nobody asks any more */

        for (size_t i = 0; i < uplinks->n_holds; i++) {
                UplinkHold *hold = &uplinks->holds[i];

                if (hold->kind == RESOURCE_NET_INGRESS)
                        continue;
                (void) net_ingress_remove(hold->config->name, uplinks->pin_dir);
                /* One that an earlier run left is taken over first: then it is known what on the hook is
                 * ours. */
                ensure_classifier(uplinks, hold, groups_fd, &features);
                /* One that tells no speed now may have told one before. */
                if (hold->uplink || hold_open(uplinks, hold, /* capacity_bps= */ 0, &features) >= 0)
                        (void) uplink_release(hold->uplink);
                /* The hook goes with the last that is on it. */
                if (hold->classifier)
                        (void) net_classifier_release(hold->classifier);
        }
        (void) net_local_remove(uplinks->pin_dir);
        net_addresses_remove(uplinks->pin_dir);
        edt_pacer_unpin(uplinks->pin_dir);
        feature_set_deinit(&features);
}
