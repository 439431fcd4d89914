/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the kernel announces of interfaces and traffic, and a socket too small for it. */

#include "enforce/link-watch.h"
#include "enforce/uplink.h"

#include "pair.h"

#include <criterion/criterion.h>
#include <net/if.h>
#include <string.h>

#define STORM 5000

typedef struct Heard {
        unsigned links, traffic, ours;
        char last[IFNAMSIZ];
        uint32_t own_port;
} Heard;

static void hear(const LinkChange *change, void *userdata) {
        Heard *heard = userdata;

        heard->ours += change->traffic && change->port == heard->own_port;
        heard->traffic += change->traffic;
        heard->links += !change->traffic;
        if (change->name)
                (void) snprintf(heard->last, sizeof(heard->last), "%s", change->name);
}

Test(link_watch, hears_of_links_and_traffic) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_(link_watch_free_p) LinkWatch *watch = NULL;
        Heard heard = {};

        cr_assert_eq(link_watch_new(256 * 1024, &watch), 0);
        cr_expect_eq(link_watch_read(watch, hear, &heard), 0);
        cr_expect_eq(heard.links + heard.traffic, 0, "nothing happened yet");

        free(run("ip link set %s mtu 1400", UPLINK));
        cr_expect_eq(link_watch_read(watch, hear, &heard), 0);
        cr_expect_gt(heard.links, 0);
        cr_expect_eq(heard.traffic, 0);
        cr_expect_str_eq(heard.last, UPLINK);

        heard = (Heard){};
        free(run("tc qdisc add dev %s root handle 1: htb && tc class add dev %s parent 1: classid 1:1 htb "
                 "rate 1mbit",
                        UPLINK, UPLINK));
        cr_expect_eq(link_watch_read(watch, hear, &heard), 0);
        cr_expect_geq(heard.traffic, 2);

        heard = (Heard){};
        free(run("ip link del %s", UPLINK));
        cr_expect_eq(link_watch_read(watch, hear, &heard), 0);
        cr_expect_gt(heard.links, 0);
}

/* What we change ourselves is announced with our port, and so can be told apart. */
Test(link_watch, knows_our_own_changes) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_(feature_set_deinit) FeatureSet features = FEATURE_SET_NULL;
        NetClass classes[] = { { SLOT_DEFAULT, 1, 1000000, UNLIMITED } };
        const NetPlan plan = { UPLINK, 30000000, classes, 1 };
        _cleanup_(link_watch_free_p) LinkWatch *watch = NULL;
        _cleanup_(uplink_free_p) Uplink *uplink = NULL;
        Heard heard = {};

        cr_assert_eq(uplink_new(&(UplinkOptions){ UPLINK }, &features, &uplink), 0);
        cr_assert_eq(link_watch_new(256 * 1024, &watch), 0);
        cr_assert_eq(uplink_apply(uplink, &plan, NULL), 0);
        heard.own_port = uplink_port(uplink);
        cr_expect_eq(link_watch_read(watch, hear, &heard), 0);
        cr_expect_gt(heard.traffic, 0);
        cr_expect_eq(heard.ours, heard.traffic);

        heard = (Heard){ .own_port = heard.own_port };
        free(run("tc qdisc del dev %s root", UPLINK));
        cr_expect_eq(link_watch_read(watch, hear, &heard), 0);
        cr_expect_gt(heard.traffic, 0);
        cr_expect_eq(heard.ours, 0);
}

/* Five thousand announcements into a socket for a few: it says that some were dropped, and goes on. */
Test(link_watch, says_what_it_lost) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_(link_watch_free_p) LinkWatch *watch = NULL;
        Heard heard = {};
        bool lost = false;

        cr_assert_eq(link_watch_new(4096, &watch), 0);
        free(run("for i in $(seq %d); do echo link set %s mtu 1400; echo link set %s mtu 1500; done | ip "
                 "-batch -",
                        STORM / 2, UPLINK, UPLINK));
        for (unsigned i = 0; i < STORM; i++) {
                Heard before = heard;
                int r = link_watch_read(watch, hear, &heard);

                cr_assert_geq(r, 0);
                lost = lost || r > 0;
                if (r == 0 && memcmp(&before, &heard, sizeof(heard)) == 0)
                        break;
        }
        cr_expect(lost);
        cr_expect_lt(heard.links, STORM);

        heard = (Heard){};
        free(run("ip link set %s mtu 1400", UPLINK));
        cr_expect_eq(link_watch_read(watch, hear, &heard), 0);
        cr_expect_gt(heard.links, 0);
}
