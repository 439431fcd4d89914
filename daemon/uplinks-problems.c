/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is said of an uplink whose promises do not hold, in words, and to the journal where it is another than
 * before: it is not shaped, it is shaped otherwise than was asked, more comes in than is divided there.
 */

#include "uplinks-internal.h"

#include "util/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void uplink_hold_note(UplinkHold *hold, int error, const char *why, FeatureSet *features) {
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

void uplink_hold_note_fallback(UplinkHold *hold, FeatureSet *features) {
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
